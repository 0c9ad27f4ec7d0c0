"use strict";
// tables that a click, or Enter, on the head of a column sorts
function makeSortable(table) {
  const body = table.tBodies[0], heads = [...table.querySelectorAll("th[aria-sort]")];
  const value = (row, i) => row.cells[i].dataset.v ?? row.cells[i].textContent;
  const sort = (head) => {
    const up = head.getAttribute("aria-sort") === "descending" ? 1 : -1, i = head.cellIndex;
    heads.forEach((h) => h.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up > 0 ? "ascending" : "descending");
    const order = (a, b) => {
      const [x, y] = [value(a, i), value(b, i)], number = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
      return up * (number ? x - y : x.localeCompare(y));
    };
    body.append(...[...body.rows].sort(order));
    const note = document.querySelector(".order");
    if (note) note.textContent = `Now sorted by ${head.textContent}, ${up > 0 ? "the lowest" : "the highest"} first.`;
  };
  for (const head of heads) {
    head.addEventListener("click", () => sort(head));
    head.addEventListener("keydown", (e) => { if (e.key === "Enter") sort(head); });
  }
}
document.querySelectorAll("table.sortable").forEach(makeSortable);
