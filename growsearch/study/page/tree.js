"use strict";
// The tree of epochs: equal first epochs are one line, as wide as trials share them.

let stretches;
derive(() => {
  stretches = (study.tree.parent ?? []).map((_, i) =>
    Object.fromEntries(Object.entries(study.tree).map(([name, values]) => [name, values[i]])));
});

function drawTree(plot) {
  const most = Math.max(...stretches.map(s => s.trials));
  const leaves = Math.max(...stretches.map(s => s.y)) + 1;
  element("tree").style.height = Math.min(Math.max(80 + 14 * leaves, 180), 640) + "px";
  const last = Math.max(...stretches.map(s => s.last_epoch));
  plot.show({
    x: {label: "epoch", domain: [0, last + 0.5], whole: true, format: String},
    y: {label: "", hidden: true, domain: [leaves - 0.4, -0.6], format: String},
    points: stretches.map(s => ({x: s.last_epoch, y: s.y, stretch: s, tip: () => stretchText(s)})),
    paint(ctx, p) {
      ctx.lineCap = "butt";
      for (const s of stretches) {
        const from = stretches[s.parent];
        if (!from) continue;
        ctx.strokeStyle = color("--muted");
        ctx.lineWidth = 1;
        p.line(ctx, p.scaleX(from.last_epoch), p.scaleY(from.y), p.scaleX(from.last_epoch), p.scaleY(s.y));
      }
      for (const s of stretches) {
        const chosen = state.selected.some(t => t.trial_id === s.trial_id) && s.trials === 1;
        ctx.strokeStyle = chosen ? color("--c2") : color("--accent");
        ctx.lineWidth = 1.5 + 9 * Math.sqrt((s.trials - 1) / Math.max(most - 1, 1)) + (chosen ? 1 : 0);
        p.line(ctx, p.scaleX(s.first_epoch - 1), p.scaleY(s.y), p.scaleX(s.last_epoch), p.scaleY(s.y));
      }
      for (const s of stretches) {
        const from = stretches[s.parent];
        if (from && from.architecture !== s.architecture) {
          mark(ctx, p.scaleX(from.last_epoch), p.scaleY(s.y), {shape: "diamond", radius: 3.5, fill: color("--growth")});
        }
      }
    },
  });
}

function stretchText(s) {
  const from = stretches[s.parent];
  const grew = from && from.architecture !== s.architecture ?
    `\ngrew from ${from.architecture} after epoch ${from.last_epoch}` : "";
  return `epochs ${s.first_epoch} to ${s.last_epoch}, ${s.architecture}\n` +
    (s.trials > 1 ? `shared by ${s.trials} trials` : `trial ${s.trial_id}`) + grew;
}

function describeTree() {
  const {nominal, distinct, paid, merge_rate: rate} = study.counts;
  element("tree-text").textContent =
    `The ${trials.length} trials have ${nominal.toLocaleString("en")} epochs. ` +
    `${distinct.toLocaleString("en")} of them are distinct, and this study trained ` +
    `${paid.toLocaleString("en")}` +
    (rate ? `: ${rate.toFixed(2)} times fewer parameter-epochs than without sharing. ` : ". ") +
    "A line is wider where more trials share the epochs. Diamonds mark growths.";
}

function setUpTree() {
  const plot = new Plot("tree", "Tree of the epochs that trials share", {
    picked(point, more) {
      const t = point && byName.get(point.stretch.trial_id);
      if (t) choose([t], more);
    },
  });
  view(["study"], () => {
    element("tree-card").hidden = !stretches.some(s => s.trials > 1);
    if (!element("tree-card").hidden) describeTree();
  });
  view(["selected"], () => { if (!element("tree-card").hidden) drawTree(plot); });
}
