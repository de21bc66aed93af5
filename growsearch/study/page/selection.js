"use strict";
// What is done with the selected trials: a table, a search-space file, a link.

/** A cell of a CSV file (RFC 4180). A text that a spreadsheet would compute gets an apostrophe. */
function csvCell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) && isNaN(value) ?
    "'" + value : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvOf(list) {
  const columns = Object.keys(study.trials);
  return [columns, ...list.map(t => columns.map(c => t[c]))]
    .map(cells => cells.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

/** A value as Python writes it; several epochs, which tables hold as text, become a list. */
function pythonValue(name, value) {
  if (typeof value === "number" || typeof value === "boolean") {
    return typeof value === "number" ? String(value) : value ? "True" : "False";
  }
  if (study.many.includes(name)) {
    const parts = value.split(" ");
    return `[${parts.map(p => isNaN(p) ? pythonText(p) : p).join(", ")}]`;
  }
  return pythonText(value);
}

/** JSON's texts are Python's too, once what is not ASCII is escaped for both. */
const pythonText = text => JSON.stringify(text).replace(/[\u007f-\uffff]/g, c =>
  "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));

/** A search space whose parts are the trials' configurations, each once. */
function spaceOf(list) {
  const optionsOf = t => Object.keys(study.trials).filter(c => c.startsWith("config/") &&
    (t[c] ?? null) !== null).map(c => [c.slice("config/".length), t[c]]);
  const written = list.map(t => new Map(optionsOf(t).map(([n, v]) => [n, pythonValue(n, v)])));
  const same = [...(written[0] ?? [])].filter(([n, v]) => written.every(one => one.get(n) === v));
  const common = new Map(same);
  const own = written.map(one => [...one].filter(([n]) => !common.has(n))
    .map(([n, v]) => `${pythonText(n)}: ${v}`).join(", "));
  const parts = [...new Set(own)].map(text => `    {**all_, ${text}},`.replace("all_, }", "all_}"));
  return `"""${counted(parts.length, "configuration")} chosen in the report of a study."""\n\n` +
    `all_ = {\n${same.map(([n, v]) => `    ${pythonText(n)}: ${v},\n`).join("")}}\n\n` +
    `param_space = [\n${parts.join("\n")}\n]\n`;
}

function save(name, kind, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: kind}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  say(`${name} is saved`);
}

function setUpSelection() {
  element("select-shown").onclick = () => change({selected: [...tableRows]});
  element("select-none").onclick = () => change({selected: [], open: null});
  element("save-csv").onclick = () => save("selection.csv", "text/csv", csvOf(state.selected));
  element("save-space").onclick = () => save("selection.py", "text/x-python", spaceOf(state.selected));
  element("copy-link").onclick = () => {
    keepInAddress();
    copy(location.href.split("#")[0] + address(), element("copy-link"));
  };
}
