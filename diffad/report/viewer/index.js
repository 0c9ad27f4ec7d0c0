"use strict";
const body = document.querySelector("tbody");
const value = (row, i) => row.cells[i].dataset.v ?? row.cells[i].textContent;
document.querySelectorAll("th[aria-sort]").forEach((head) => head.addEventListener("click", () => {
  const up = head.getAttribute("aria-sort") === "descending" ? 1 : -1, i = head.cellIndex;
  document.querySelectorAll("th[aria-sort]").forEach((h) => h.setAttribute("aria-sort", "none"));
  head.setAttribute("aria-sort", up > 0 ? "ascending" : "descending");
  const order = (a, b) => {
    const [x, y] = [value(a, i), value(b, i)], number = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
    return up * (number ? x - y : x.localeCompare(y));
  };
  body.append(...[...body.rows].sort(order));
}));
document.getElementById("search").addEventListener("input", (event) => {
  const query = event.target.value.toLowerCase();
  for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(query);
});
