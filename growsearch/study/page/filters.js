"use strict";
// The filter: statuses, and values of options. The filter hides trials everywhere.

const wholeNumbers = new Intl.Collator("en", {numeric: true});

/** What may be filtered: the searched options that differ, with their values. */
let filterable;
derive(() => { filterable = study.searched.flatMap(filtersOf); });

function filtersOf(name) {
  const column = "config/" + name, values = [...new Set(trials.map(t => t[column] ?? null))];
  if (values.length < 2) return [];
  const numbers = values.filter(v => v !== null);
  if (numbers.length > 6 && numbers.every(v => typeof v === "number")) {
    const range = [numbers.reduce((a, b) => Math.min(a, b)), numbers.reduce((a, b) => Math.max(a, b))];
    return [{name, column, texts: [], range}];
  }
  return [{name, column, texts: [...new Set(values.map(optionText))].sort(inOrder), range: null}];
}

/** The options of the filter that differ: if only some trials have one, it has two values at least. */
const differing = () => filterable.filter(f => f.range || f.texts.filter(text => text !== "–").length > 1);

/** Where trials stand on an axis of a column: at their number, or at the place of their text in `texts`. */
function placeOn(column, texts) {
  const places = new Map(texts?.map((text, i) => [text, i]));
  return t => texts ? places.get(optionText(t[column])) : t[column] ?? null;
}

/** The order of two values of an option. Numbers in a text count as whole ones: 1.5 is "1" and "5". */
function inOrder(a, b) {
  const difference = Number(a) - Number(b);
  return isNaN(difference) ? wholeNumbers.compare(a, b) : difference;
}

/** Changes the rule of one option; null removes it. */
function setRule(column, rule) {
  const {[column]: _, ...others} = state.options;
  change({options: rule ? {...others, [column]: rule} : others});
}

function checks(parent, texts, chosen, changed) {
  const host = add(parent, "div", "", "values");
  const boxes = texts.map(text => {
    const label = add(host, "label"), box = add(label, "input");
    box.type = "checkbox";
    box.checked = !chosen || chosen.includes(text);
    box.dataset.value = text;
    add(label, "span", text);
    return box;
  });
  host.addEventListener("change", () => {
    const kept = boxes.filter(box => box.checked).map(box => box.dataset.value);
    changed(kept.length === texts.length ? null : kept);
  });
}

function numbersBetween(parent, {name, column, range}) {
  const row = add(parent, "div"), rule = state.options[column] ?? {};
  const fields = ["from", "to"].map((end, i) => {
    const label = add(row, "label", end), field = add(label, "input");
    field.type = "number";
    field.step = "any";
    field.placeholder = optionText(range[i]);
    field.value = rule[end] ?? "";
    field.setAttribute("aria-label", `${name} ${end}`);
    field.onchange = () => {
      const [from, to] = fields.map(f => f.value === "" ? null : Number(f.value));
      setRule(column, from === null && to === null ? null : {from, to});
    };
    return field;
  });
}

let drawnFilters = "";

function drawFilters() {
  const host = element("filters"), focused = document.activeElement;
  const statuses = [...new Set(trials.map(t => t.status))];
  const wanted = JSON.stringify([statuses, filterable, state.status, state.options]);
  host.hidden = !state.filtering;
  element("filter-open").setAttribute("aria-expanded", String(state.filtering));
  // what a reader changes here stays as it is, and so does what is the same
  if (host.contains(focused) || wanted === drawnFilters) return;
  drawnFilters = wanted;
  host.replaceChildren();
  const grid = add(host, "div", "", "filters");
  const field = name => {
    const set = add(grid, "fieldset");
    add(set, "legend", name);
    return set;
  };
  checks(field("status"), statuses, state.status, kept => change({status: kept}));
  for (const option of filterable) {
    const set = field(option.name), rule = state.options[option.column];
    if (option.range) numbersBetween(set, option);
    else checks(set, option.texts, rule?.values, kept => setRule(option.column, kept && {values: kept}));
  }
  const clear = add(host, "button", "Show all trials");
  clear.type = "button";
  clear.id = "filter-clear";
  clear.onclick = () => {
    clear.blur();
    change({status: null, options: {}});
  };
}

function drawCounts() {
  const kept = shown().length;
  element("counts").textContent = (kept === trials.length ? counted(kept, "trial") :
    `${kept.toLocaleString("en")} of ${counted(trials.length, "trial")} shown`) +
    `, ${state.selected.length.toLocaleString("en")} selected`;
  for (const id of ["save-csv", "save-space"]) element(id).disabled = !state.selected.length;
}

function setUpFilters() {
  element("filter-open").onclick = () => change({filtering: !state.filtering});
  view(["filtering", "status", "options"], drawFilters);
  view(["status", "options"], () => {
    const kept = new Set(shown());
    if (state.selected.some(t => !kept.has(t))) change({selected: state.selected.filter(t => kept.has(t))});
  });
  view(["status", "options", "selected"], drawCounts);
}
