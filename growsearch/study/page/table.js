"use strict";
// The table of the trials. Only the rows that are seen exist: 5,000 trials scroll like fifty.

const ROW = 30;  // pixels, as in the style sheet
const ROOM = 8;  // rows above and below those that are seen

let tableColumns;
derive(() => {
  const there = column => trials.some(t => (t[column] ?? null) !== null);
  const metric = metricAxis(study.metric.column) ?? study.metric;
  const fixed = digits => x => x === null || x === undefined ? "–" :
    x.toFixed(digits).replace(/^-(0\.?0*)$/, "$1");
  const costColumn = {name: study.cost.name === "ppe" ? "PPE" : study.cost.name,
    value: t => t[study.cost.column], show: t => amount(t[study.cost.column])};
  const accuracy = there("val_accuracy") ? [
    {name: "val. acc.", value: t => t.val_accuracy, show: t => percentText(t.val_accuracy)},
    {name: "test acc.", value: t => t.test_accuracy, show: t => percentText(t.test_accuracy)},
    {name: "best val.", value: t => t.best_val_accuracy,
     show: t => `${percentText(t.best_val_accuracy)} (${t.best_epoch})`},
  ] : [];
  tableColumns = [
    {name: "trial", text: true, value: t => t.trial_id, star: true},
    {name: "status", text: true, value: t => t.status, status: true},
    ...(trials.some(reasonOf) ? [{name: "reason", text: true, value: inShort, title: reasonOf, most: 26}] : []),
    costColumn,
    ...(study.cost.column === "ppe" ? [] : [{name: "PPE", value: t => t.ppe, show: t => amount(t.ppe)}]),
    ...(there("val_accuracy") && metric.column === "val_accuracy" ? [] :
      [{name: study.metric.name, value: t => t[metric.column], show: t => measured(t[metric.column], metric)}]),
    ...accuracy,
    {name: "final depth", text: true, value: t => t.architecture},
    {name: "grew after", text: true, value: t => inWords(growthsOf(t)), sort: t => growthsOf(t)[0] ?? 1e9},
    ...(there("val_delta") ? [{name: "Δ scratch", value: t => t.val_delta, show: t => signed(t.val_delta)}] : []),
    ...(there("loss_jump") ? [
      {name: "loss jump", value: t => t.loss_jump, show: t => fixed(3)(t.loss_jump)},
      {name: "mixing: best", value: t => t.mixing_to_best, show: t => fixed(0)(t.mixing_to_best)},
      {name: "trend", value: t => t.mixing_to_trend, show: t => fixed(0)(t.mixing_to_trend)},
    ] : []),
    {name: "seconds", value: t => t.seconds, show: t => fixed(1)(t.seconds)},
    {name: "paid s", value: t => t.paid_seconds, show: t => fixed(1)(t.paid_seconds)},
    ...study.searched.map(n => ({name: n, value: t => t["config/" + n] ?? null, text: trials.some(t =>
      typeof t["config/" + n] === "string"), show: t => optionText(t["config/" + n])})),
  ];
});

const cellText = (column, t) => (column.show ?? column.value)(t) ?? "–";
let tableRows = [];
let focusedRow = 0;

function sortRows() {
  const [name, sign] = state.sort ?? [tableColumns.find(c => c.value(trials[0] ?? {}) ===
    (trials[0] ?? {})[study.cost.column] && !c.text)?.name ?? "trial", 1];
  const column = tableColumns.find(c => c.name === name) ?? tableColumns[0];
  const key = column.sort ?? column.value;
  const keyed = shown().map(t => [key(t) ?? null, t]);
  keyed.sort(([a], [b]) => a === b ? 0 : a === null ? 1 : b === null ? -1 : sign * (a < b ? -1 : 1));
  tableRows = keyed.map(([, t]) => t);
  drawHead(column, sign);
}

function drawHead(sorted, sign) {
  const head = element("head");
  head.replaceChildren();
  const row = add(head, "tr");
  for (const column of tableColumns) {
    const cell = add(row, "th", "", column.text ? "text" : "");
    cell.scope = "col";
    const now = column === sorted;
    if (now) cell.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const button = add(cell, "button", column.name + (now ? (sign > 0 ? " ↑" : " ↓") : ""));
    button.type = "button";
    button.onclick = () => change({sort: [column.name, now ? -sign : 1]});
  }
}

/** Columns get the width of their widest text once, so that they do not move while one scrolls. */
function setWidths() {
  const sample = trials.length > 600 ? trials.filter((_, i) => i % Math.ceil(trials.length / 600) === 0) : trials;
  let sum = 0;
  element("columns").replaceChildren();
  for (const column of tableColumns) {
    const longest = Math.max(column.name.length + 2, ...sample.map(t => cellText(column, t).length +
      (column.star ? 3 : 0)));
    const width = Math.min(longest, column.most ?? 30) * 8.2 + 18;
    add(element("columns"), "col").style.width = width + "px";
    sum += width;
  }
  document.querySelector("#table table").style.width = `max(100%, ${Math.ceil(sum)}px)`;
}

/** Makes the rows that are seen now, between two rows as high as those that are not. */
function drawRows() {
  const box = element("table"), body = element("rows"), focused = body.contains(document.activeElement);
  const from = Math.max(0, Math.floor(box.scrollTop / ROW) - ROOM);
  const to = Math.min(tableRows.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + ROOM);
  const chosen = new Set(state.selected), made = document.createDocumentFragment();
  gap(made, from);
  for (let i = from; i < to; i++) addRow(made, tableRows[i], i, chosen);
  gap(made, tableRows.length - to);
  body.replaceChildren(made);
  document.querySelector("#table table").setAttribute("aria-rowcount", tableRows.length + 1);
  if (focused) body.querySelector(`[data-row="${focusedRow}"]`)?.focus({preventScroll: true});
}

function gap(parent, rows) {
  if (!rows) return;
  const row = add(parent, "tr", "", "gap");
  row.setAttribute("aria-hidden", "true");
  const cell = add(row, "td");
  cell.colSpan = tableColumns.length;
  cell.style.height = rows * ROW + "px";
}

function addRow(parent, t, place, chosen) {
  const row = add(parent, "tr", "", chosen.has(t) ? "chosen" : "");
  row.dataset.row = place;
  row.dataset.trial = t.trial_id;
  row.tabIndex = place === focusedRow ? 0 : -1;
  row.setAttribute("aria-rowindex", place + 2);
  row.setAttribute("aria-selected", chosen.has(t));
  for (const column of tableColumns) {
    const text = cellText(column, t), cell = add(row, "td", text, column.text ? "text" : "");
    if (column.star && t.optimal) add(cell, "span", " ★", "star");
    if (column.status && /^[a-z]+$/.test(t.status)) cell.classList.add(t.status);
    if (column.title) {
      cell.title = column.title(t);
      cell.classList.add("why");
    } else if (text.length > 28) cell.title = text;
  }
}

function tableKey(event) {
  const last = tableRows.length - 1;
  const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity};
  if (event.key in steps && last >= 0) {
    focusedRow = Math.min(Math.max(focusedRow + steps[event.key], 0), last);
    showRow(focusedRow);
    drawRows();
    element("rows").querySelector(`[data-row="${focusedRow}"]`)?.focus({preventScroll: true});
  } else if (event.key === "Enter" || event.key === " ") {
    choose([tableRows[focusedRow]], event.key === " " || event.shiftKey);
  } else {
    return;
  }
  event.preventDefault();
}

/** Scrolls the table, not the page, so that the row is seen. */
function showRow(place) {
  const box = element("table"), room = box.clientHeight - 2 * ROW;
  if (place * ROW < box.scrollTop) box.scrollTop = place * ROW;
  else if (place * ROW > box.scrollTop + room) box.scrollTop = place * ROW - room;
}

function setUpTable() {
  const box = element("table"), body = element("rows");
  box.addEventListener("scroll", () => requestAnimationFrame(drawRows));
  new ResizeObserver(drawRows).observe(box);
  body.addEventListener("click", event => {
    const row = event.target.closest("tr[data-row]");
    if (!row) return;
    focusedRow = Number(row.dataset.row);
    choose([tableRows[focusedRow]], event.shiftKey || event.ctrlKey || event.metaKey);
  });
  body.addEventListener("keydown", tableKey);
  view(["study"], setWidths);
  view(["status", "options", "sort"], () => {
    sortRows();
    focusedRow = 0;
  });
  view(["selected"], () => {
    const place = tableRows.indexOf(state.selected[state.selected.length - 1]);
    if (place >= 0 && !element("rows").contains(document.activeElement)) {
      focusedRow = place;
      showRow(place);
    }
  });
  view(["status", "options", "sort", "selected", "x", "y", "log", "seeds"], drawRows);
}
