// Opens a page of a scan in headless Chromium, moves its sliders and clicks a lesion; prints what it saw as JSON.
// usage: node viewer_check.js PAGE.html SCREENSHOT.png [WIDTH] [dark]; DIFFAD_CHROME is a folder with node_modules.
const { createRequire } = require("module");
const need = createRequire(process.env.DIFFAD_CHROME + "/package.json");
const chromium = need("@sparticuz/chromium").default || need("@sparticuz/chromium");
const puppeteer = need("puppeteer-core");

const pixels = () => { // of the first viewer, read where it has just been drawn
  const nv = window.diffad.views[0], gl = nv.gl;
  nv.drawScene();
  const rgba = new Uint8Array(4 * gl.drawingBufferWidth * gl.drawingBufferHeight);
  gl.readPixels(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
  let coloured = 0, lit = 0, green = 0;
  for (let i = 0; i < rgba.length; i += 4) {
    const [r, g, b] = rgba.subarray(i, i + 3);
    if (r - b > 40) coloured++;
    if (r + g + b > 90) lit++;
    if (g - r > 40 && g - b > 10) green++;
  }
  return { coloured, lit, green };
};
const places = () => { // in the world of the file, not on NiiVue's unrotated axes
  const { views, values } = window.diffad, voxels = views.map((nv) => Array.from(nv.frac2vox(nv.scene.crosshairPos)));
  const world = ({ matRAS, dimsRAS }, f) => [0, 1, 2].map((r) => // matRAS: RAS voxels to world, row by row
    [0, 1, 2].reduce((sum, c) => sum + matRAS[4 * r + c] * (f[c] * dimsRAS[c + 1] - 0.5), matRAS[4 * r + 3]));
  return { voxels, values, crosshairs: views.map((nv) => world(nv.volumes[0], nv.scene.crosshairPos)),
    detected: views[0].volumes[2].getValue(...voxels[0]), map: views[0].volumes[1].getValue(...voxels[0]) };
};
const move = (id, value) => {
  const input = document.getElementById(id);
  input.value = value;
  input.dispatchEvent(new Event("input"));
};

const keys = () => { // what each key does, from where the first detection lies
  const canvas = document.getElementById("scan"), nv = window.diffad.views[0], now = () => window.diffad.mm.map(Number);
  const press = (key) => canvas.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const here = () => [...document.querySelectorAll("tr[data-x]")].findIndex((row) => row.classList.contains("here"));
  const start = now(), steps = {};
  for (const [key, back] of [["ArrowLeft", "ArrowRight"], ["ArrowUp", "ArrowDown"], ["PageUp", "PageDown"]]) {
    press(key);
    steps[key] = now().map((v, i) => v - start[i]);
    press(back);
  }
  press("n");
  const second = here();
  press("b");
  press("m");
  const drag = nv.opts.dragModePrimary;
  press("m");
  press("u");
  const hidden = nv.volumes[3]?.opacity;
  press("u");
  const heads = [...document.querySelectorAll("th[aria-sort]")], volumes = () => [...document.querySelectorAll("tr[data-x]")].map((row) => Number(row.cells[1].dataset.v));
  heads.find((head) => head.textContent.startsWith("volume")).click();
  return { steps, second, drag, dragAfter: nv.opts.dragModePrimary, hidden, shown: nv.volumes[3]?.opacity, volumes: volumes(),
    order: document.querySelector(".order").textContent };
};

(async () => {
  const [page, picture, width, dark] = process.argv.slice(2);
  chromium.setGraphicsMode = true;
  const args = [...chromium.args, "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist", "--allow-file-access-from-files"];
  const browser = await puppeteer.launch({ args, executablePath: await chromium.executablePath(), headless: chromium.headless });
  const tab = await browser.newPage(), errors = [], requests = [];
  tab.on("pageerror", (e) => errors.push(String(e)));
  tab.on("console", (m) => { if (m.type() === "error") errors.push(m.text()); });
  tab.on("request", (r) => { if (!/^(file|data|blob):/.test(r.url())) requests.push(r.url()); });
  await tab.setViewport({ width: Number(width || 1280), height: 900 });
  if (dark) await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
  const began = Date.now();
  await tab.goto("file://" + page, { waitUntil: "load" });
  await tab.waitForFunction(() => window.diffad.ready || document.getElementById("trouble").textContent, { timeout: 90000 });
  const seconds = (Date.now() - began) / 1000;
  const trouble = await tab.$eval("#trouble", (e) => e.textContent);
  const saw = { seconds, trouble, errors, requests };
  if (!trouble) {
    saw.start = await tab.evaluate(pixels);
    await tab.evaluate(move, "opacity", 0);
    saw.clear = await tab.evaluate(pixels);
    await tab.evaluate(move, "opacity", 1);
    saw.opaque = await tab.evaluate(pixels);
    await tab.evaluate(move, "threshold", 0);
    saw.low = await tab.evaluate(pixels);
    await tab.evaluate(move, "threshold", await tab.$eval("#threshold", (e) => e.max));
    saw.high = await tab.evaluate(pixels);
    saw.state = await tab.evaluate(() => ({ opacity: window.diffad.opacity, threshold: window.diffad.threshold }));
    await tab.evaluate(move, "threshold", await tab.$eval("#threshold", (e) => e.getAttribute("value")));
    await tab.evaluate(move, "opacity", 0.7);
    saw.top = Number(await tab.$eval("#threshold", (e) => e.max));
    saw.jumps = [];
    const rows = await tab.$$("tr[data-x]");
    for (const row of rows) {
      await row.click();
      saw.jumps.push(await tab.evaluate(places));
    }
    await tab.evaluate(move, "opacity", 0);
    await tab.click("#detections");
    saw.detections = await tab.evaluate(pixels);
    await tab.click("#detections");
    await tab.evaluate(move, "opacity", 0.7);
    if (rows.length) await rows[0].click();
    saw.keys = await tab.evaluate(keys);
  }
  saw.wide = await tab.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  await tab.screenshot({ path: picture });
  await browser.close();
  console.log(JSON.stringify(saw));
})().catch((error) => { console.error(error); process.exit(1); });
