"use strict";
document.getElementById("search").addEventListener("input", (event) => {
  const query = event.target.value.toLowerCase();
  for (const row of document.querySelector("table.sortable").tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(query);
});
