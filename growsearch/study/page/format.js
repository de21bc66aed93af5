"use strict";
// Numbers and names as readers see them.

const UNITS = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** A number with `digits` significant digits: 113200000000 becomes "113.2 G". */
function amount(x, digits = 4) {
  if (x === null || x === undefined) return "–";
  const size = Math.abs(x);
  const [unit, sign] = UNITS.find(([u]) => size >= u) ?? [1, ""];
  if (size !== 0 && size < 1e-3) return x.toExponential(Math.max(digits - 2, 0));
  const text = String(+(x / unit).toPrecision(digits));
  return sign ? `${text} ${sign}` : text;
}

/** A value of an option. */
const optionText = x => x === null || x === undefined ? "–" :
  typeof x !== "number" || Number.isInteger(x) ? String(x) : String(+x.toPrecision(4));

const percentText = x => x === null || x === undefined ? "–" : x.toFixed(2) + " %";

/** A value of one of the metrics of `study.metrics`: as `growsearch` prints it. */
function measured(x, metric) {
  if (x === null || x === undefined) return "–";
  if (metric.percent) return percentText(x);
  if (Math.abs(x) >= 1e4) return amount(x, 6);
  const digits = +x.toPrecision(6), decimals = x.toFixed(4);
  return +decimals === digits ? decimals : String(digits);
}

const signed = x => x === null || x === undefined ? "–" : (x > 0 ? "+" : "") + x.toFixed(2);
/** A label in a sentence: without its unit, or what it stands for, in brackets. */
const bare = label => label.replace(/ \([^)]*\)$/, "");
const capital = text => text.charAt(0).toUpperCase() + text.slice(1);
const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

/** Epochs of growths, shortened where they are many. */
const inWords = epochs => epochs.length <= 5 ? epochs.join(", ") || "never" :
  `${epochs.slice(0, 3).join(", ")} ... ${epochs[epochs.length - 1]} (${epochs.length} growths)`;

/** Seconds as minutes or hours. */
const duration = seconds => seconds < 7200 ? (seconds / 60).toFixed(1) + " min" :
  (seconds / 3600).toFixed(1) + " h";

let theme = new Map();  // colours by name, forgotten when the reader changes to light or dark

function color(name) {
  if (!theme.has(name)) {
    theme.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  }
  return theme.get(name);
}
const element = id => document.getElementById(id);

/** A new element with text, never with markup: names of trials and options may be anything. */
function add(parent, tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  parent.appendChild(made);
  return made;
}

/** The options of a choice, pairs of value and text; an open list stays where they are the same. */
function fillChoice(choice, pairs) {
  if (choice.dataset.options === JSON.stringify(pairs)) return;
  choice.dataset.options = JSON.stringify(pairs);
  choice.replaceChildren();
  for (const [value, text] of pairs) add(choice, "option", text).value = value;
}

function mean(values) {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}

/** Without the last digits of a mean, in which equally good configurations differ: as `best` has it. */
const rounded = x => +x.toPrecision(12);

/** The standard deviation of a sample; 0 for one value. */
function deviation(values) {
  if (values.length < 2) return 0;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, x) => sum + (x - middle) ** 2, 0) / (values.length - 1));
}
