"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const state = window.diffad = { ready: false, opacity: 0.7, threshold: data.threshold, mm: null, views: [] };

// as the legend of the page shows it; below the threshold nothing is drawn, and the colours stay as they are
const HEAT = { R: [0, 90, 180, 240, 255, 255], G: [0, 10, 40, 110, 190, 250], B: [0, 40, 30, 10, 40, 190],
  A: [0, 255, 255, 255, 255, 255], I: [0, 2, 64, 128, 192, 255] };
const UNSEEN = { R: [0, 0, 143], G: [0, 0, 179], B: [0, 0, 217], A: [0, 130, 255], I: [0, 128, 255] };
const UNSEEN_OPACITY = 0.55;
const DETECTIONS = { R: [0, 30], G: [0, 230], B: [0, 170], A: [0, 255], I: [0, 255] };

async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

function showFailure(error) {
  element("fallback").open = true;
  element("trouble").textContent = `The viewer cannot run here (${error}). The static picture below shows the same result.`;
}

async function openViewer(canvas, kinds) {
  const nv = new niivue.Niivue({ backColor: [0, 0, 0, 1], show3Dcrosshair: true, isResizeCanvas: true,
    crosshairColor: [0.3, 0.8, 1, 0.8], crosshairWidth: 0.4, crosshairWidthUnit: "percent", loadingText: "", dragAndDropEnabled: false, isColorbar: false,
    fontColor: [0.62, 0.91, 1, 1], fontMinPx: 17, fontSizeScaling: 0.55, isCornerOrientationText: true, tileMargin: 6, multiplanarPadPixels: 6 });
  await nv.attachToCanvas(canvas);
  if (!nv.gl) throw new Error("no WebGL2");
  nv.addColormap("heat", HEAT);
  nv.addColormap("detections", DETECTIONS);
  nv.addColormap("unseen", UNSEEN);
  nv.setRadiologicalConvention(true); // as in the picture
  nv.opts.sagittalNoseLeft = true;
  const looks = { scan: ["gray", 1], reconstruction: ["gray", 1], map: ["heat", state.opacity], mask: ["detections", 0], unseen: ["unseen", UNSEEN_OPACITY] };
  for (const kind of kinds) {
    const v = data.volumes[kind];
    const image = await niivue.NVImage.loadFromBase64({ base64: v.base64, name: kind + ".nii.gz", colormap: looks[kind][0],
      opacity: looks[kind][1], cal_min: kind === "map" ? state.threshold : kind === "mask" ? 0.5 : v.low,
      cal_max: v.high, trustCalMinMax: true });
    if (kind === "map") image.colormapType = 2; // colours from 0 to the highest, nothing below cal_min
    nv.addVolume(image);
  }
  nv.setSliceType(nv.sliceTypeMultiplanar);
  nv.setInterpolation(true);
  return nv;
}

// NiiVue's own mm are those of unrotated axes; the last argument asks for the world of the file
const toWorld = (nv) => Array.from(nv.frac2mm(nv.scene.crosshairPos, 0, true)).slice(0, 3);

function showValues() {
  const [left, right] = state.views, values = {};
  state.mm = toWorld(left);
  for (const [nv, kinds] of [[left, ["scan", "map"]], [right, ["reconstruction"]]]) {
    const voxel = nv.frac2vox(nv.scene.crosshairPos, 0);
    kinds.forEach((kind, i) => { values[kind] = nv.volumes[i].getValue(...voxel); });
  }
  state.values = values;
  const texts = Object.entries(values).map(([kind, v]) => `${kind} ${Number(v.toPrecision(3))}`);
  element("where").textContent = [state.mm.map((v) => v.toFixed(1)).join(", ") + " mm", ...texts].join(" · ");
}

function jump(mm) {
  for (const nv of state.views) { nv.scene.crosshairPos = nv.mm2frac(mm, 0, true); nv.drawScene(); }
  showValues();
}

function apply() {
  state.opacity = Number(element("opacity").value);
  state.threshold = Number(element("threshold").value);
  element("opacity-value").textContent = Math.round(state.opacity * 100) + " %";
  element("threshold-value").textContent = state.threshold.toPrecision(3);
  const nv = state.views[0];
  if (!nv) return;
  nv.volumes[1].cal_min = Math.min(state.threshold, data.volumes.map.high * 0.999);
  nv.volumes[1].opacity = state.opacity;
  nv.volumes[2].opacity = element("detections").checked ? 0.6 : 0;
  if (nv.volumes[3]) nv.volumes[3].opacity = element("unseen").checked ? UNSEEN_OPACITY : 0;
  nv.updateGLVolume();
}

// drag modes of NiiVue: 8 moves the crosshair, 2 draws a line with its length in mm
function measure() {
  state.measures = element("measure").checked;
  for (const nv of state.views) {
    nv.opts.dragModePrimary = state.measures ? 2 : 8;
    if (!state.measures && nv.clearMeasurements) nv.clearMeasurements();
    nv.drawScene();
  }
}

const STEPS = { ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };

function press(event, next) {
  const toggles = { d: "detections", u: "unseen", m: "measure" }, box = element(toggles[event.key]);
  if (STEPS[event.key]) { // the patient's right is on the left of the picture
    const nv = state.views[0], dims = nv.volumes[0].dimsRAS, place = Array.from(nv.scene.crosshairPos).slice(0, 3);
    nv.scene.crosshairPos = place.map((v, i) => Math.min(1, Math.max(0, v + STEPS[event.key][i] / dims[i + 1])));
    jump(toWorld(nv));
  } else if (event.key === "n" || event.key === "b") next(event.key === "n" ? 1 : -1);
  else if (toggles[event.key] && box) { box.checked = !box.checked; box.dispatchEvent(new Event("input")); }
  else return;
  event.preventDefault();
  event.stopPropagation();
}

async function start() {
  const script = document.createElement("script");
  script.textContent = await unpack(element("niivue").textContent.trim());
  document.head.append(script);
  state.views = [await openViewer(element("scan"), ["scan", "map", "mask", "unseen"].filter((kind) => data.volumes[kind])), await openViewer(element("reconstruction"), ["reconstruction"])];
  const [left, right] = state.views;
  left.broadcastTo([right], { "2d": true, "3d": true });
  right.broadcastTo([left], { "2d": true, "3d": true });
  for (const nv of state.views) nv.onLocationChange = showValues;
  for (const id of ["opacity", "threshold", "detections", "unseen"]) element(id)?.addEventListener("input", apply);
  element("measure").addEventListener("input", measure);
  apply();
  const list = () => [...document.querySelectorAll("tr[data-x]")], rows = list(); // in the order of the table
  const go = (row) => {
    rows.forEach((r) => r.classList.toggle("here", r === row));
    jump(["x", "y", "z"].map((k) => Number(row.dataset[k])));
    if (state.ready) document.querySelector(".views").scrollIntoView({ block: "nearest" });
  };
  for (const row of rows) {
    row.addEventListener("click", () => go(row));
    row.addEventListener("keydown", (e) => { if (e.key === "Enter") go(row); });
  }
  const next = (step) => {
    const now = list(), index = now.findIndex((row) => row.classList.contains("here"));
    if (now.length) go(now[(index + step + now.length) % now.length]);
  };
  document.querySelector(".views").addEventListener("keydown", (event) => press(event, next), true);
  if (rows.length) go(rows[0]); else showValues();
  state.ready = true;
}
start().catch(showFailure);
