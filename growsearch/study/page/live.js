"use strict";
// Follows the study of a page that `growsearch report --watch` serves: what is new is asked for and
// shown, and the view stays as it is. Only served pages have this script.

const EVERY = 2000;  // milliseconds between two questions
const MOST_FAILURES = 3;  // questions in a row without an answer, after which the server has ended

const live = {version: study.live.version, failures: 0, pressed: false, over: false};

/** Asks for the state of the study, and for its data if these are new. */
async function ask() {
  let said, data = null;
  try {
    said = await answerOf("state");
    if (said.version !== live.version) data = await answerOf("data");
    live.failures = 0;
  } catch {
    live.failures += 1;
    if (live.failures < MOST_FAILURES) return;
    live.over = true;
    element("live").textContent = "The server has ended, so this page does not change any more. " +
      `To go on: growsearch report ${quoted(study.folder)} --watch`;
    say(element("live").textContent);
    return;
  }
  if (data && live.pressed) return;  // not while the reader drags; the next question takes it
  if (data) takeUpdate(data);
  showState(data ? study.live : said);
}

async function answerOf(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function showState({state: phase, problem, ended, left}) {
  const going = trials.length ?
    `${ended} of ${counted(Math.max(study.info.trials ?? 0, trials.length), "trial")} have ended. The search runs, or was interrupted; ` +
      "this page shows what is new." : "No trial has ended an epoch yet. This page waits for the first one.";
  const more = `${left}; growsearch resume ${quoted(study.folder)} --budget UNIT=X, with more than that, ` +
    "goes on with what is open, and this page then shows it.";
  const text = problem ? `The study cannot be read now: ${problem}` :
    phase === "finished" ? "The study is finished. This page asks for no more." : left ? more : going;
  element("live").hidden = false;
  if (element("live").textContent !== text) element("live").textContent = text;
  live.over = phase === "finished" && !problem;
}

/** Shows newer data of the study in the view that the reader has chosen. */
function takeUpdate(data) {
  const view = keptView();
  live.version = data.live.version;
  takeStudy(data);
  readAddress(view.hash);
  state.selected = view.selected.map(name => byName.get(name)).filter(Boolean);
  state.open = byName.get(view.open)?.group ?? null;
  if (!view.begun) selectFirst();
  if (view.limit !== null) {
    state.limit = 1000;
    const whole = bestUnder();
    if (whole) state.limit = placeOf(view.limit, whole);
  }
  describeStudy();
  drawSeenFirst(() => {});
  restore(view);
  keepInAddress();
}

/** What an address does not say, and the address. */
function keptView() {
  const table = element("table"), lines = linesBox.scroll, focused = document.activeElement;
  const cards = [...document.querySelectorAll("header, .card:not([hidden])")];
  const seen = cards.find(card => card.getBoundingClientRect().bottom > 0) ?? cards[0];
  const host = focused.parentElement?.closest("[id]");
  return {
    hash: address(),
    begun: trials.length > 0,
    selected: state.selected.map(t => t.trial_id),
    open: trials.find(t => t.group === state.open)?.trial_id,
    limit: state.limit < 1000 && bought ? bought.limit : null,
    seen, top: seen.getBoundingClientRect().top,
    row: tableRows[focusedRow]?.trial_id,
    tableTop: tableRows[Math.floor(table.scrollTop / ROW)]?.trial_id, tableAt: table.scrollTop,
    linesTop: tableRows[Math.floor(lines.scrollTop / LINE)]?.trial_id, linesAt: lines.scrollTop,
    focused, host, place: host ? [...host.querySelectorAll("*")].indexOf(focused) : -1,
  };
}

function restore(view) {
  const rowOf = name => tableRows.findIndex(t => t.trial_id === name);
  // the first row that was seen is so again, unless the reader was at the top
  const scrolled = (name, at, height) => at && rowOf(name) >= 0 ? rowOf(name) * height + at % height : at;
  focusedRow = Math.max(rowOf(view.row), 0);
  drawRows();
  element("table").scrollTop = scrolled(view.tableTop, view.tableAt, ROW);
  linesBox.scroll.scrollTop = scrolled(view.linesTop, view.linesAt, LINE);
  drawRows();
  drawLines();
  if (!view.focused.isConnected) {
    view.host?.querySelectorAll("*")[view.place]?.focus?.({preventScroll: true});
  }
  window.scrollBy(0, view.seen.getBoundingClientRect().top - view.top);
}

async function follow() {
  if (!live.over && !document.hidden) await ask();
  if (!live.over) setTimeout(follow, EVERY);
}

document.documentElement.style.overflowAnchor = "none";  // `restore` keeps the place
for (const kind of ["pointerdown", "pointerup", "pointercancel"]) {
  addEventListener(kind, () => { live.pressed = kind === "pointerdown"; }, true);
}
showState(study.live);
setTimeout(follow, EVERY);
