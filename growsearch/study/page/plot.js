"use strict";
// A plot on a canvas: axes, marks, hover, click, drag, keyboard. 5,000 points are drawn in 20 ms.

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const REACH = 18;  // pixels from which a point is hit

/** Round numbers from low to high, roughly `about` of them. */
function linearTicks(low, high, about) {
  const raw = (high - low) / Math.max(about, 1), power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find(n => n * power >= raw * 0.999) * power;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(i * step);
  return ticks;
}

/** Powers of ten; within few decades 2 and 5 of each as well. */
function logTicks(low, high, about) {
  const decades = Math.log10(high / low);
  if (decades < 0.7) return linearTicks(low, high, about);
  const factors = decades < 3 ? [1, 2, 5] : [1], ticks = [];
  const skip = Math.max(1, Math.ceil(decades / about));
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p += skip) {
    for (const f of factors) ticks.push(f * 10 ** p);
  }
  return ticks.filter(t => t >= low * 0.999999 && t <= high * 1.000001);
}

/** [low, high] of the values with a margin; null without a value that can be drawn. */
function extent(values, log, margin = 0.06) {
  const there = values.filter(v => v !== null && isFinite(v) && (!log || v > 0));
  if (!there.length) return null;
  let low = there.reduce((a, b) => Math.min(a, b)), high = there.reduce((a, b) => Math.max(a, b));
  if (log) {
    const room = (high / low) ** margin * (high === low ? 1.3 : 1);
    return [low / room, high * room];
  }
  const room = margin * (high - low) || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

/** Has `draw` called when the element's size is not that of `drawn`, {width, height}, any more. */
function resized(host, drawn, draw) {
  new ResizeObserver(() => {
    const {width, height} = host.getBoundingClientRect();
    if (drawn.width !== undefined && (width !== drawn.width || height !== drawn.height)) draw();
  }).observe(host);
}

class Plot {
  /** `picked(point, more)` is called for a clicked point, or with null beside all points. */
  constructor(id, label, {picked = null} = {}) {
    this.host = element(id);
    this.picked = picked;
    this.hovered = null;
    this.from = null;  // where a drag began
    this.base = add(this.host, "canvas");
    this.over = add(this.host, "canvas", "", "over");
    this.base.setAttribute("aria-hidden", "true");
    this.over.setAttribute("aria-hidden", "true");
    this.host.tabIndex = 0;
    this.host.setAttribute("role", "application");
    this.host.setAttribute("aria-roledescription", "plot");
    this.host.setAttribute("aria-label", label +
      ". Arrow keys move through its points" + (picked ? ", Enter selects one, Space adds it." : "."));
    this.host.addEventListener("pointermove", e => this.move(e));
    this.host.addEventListener("pointerdown", e => this.down(e));
    this.host.addEventListener("pointerup", e => this.up(e));
    this.host.addEventListener("pointercancel", () => { this.from = null; this.drawOver(); });
    this.host.addEventListener("pointerleave", () => { if (!this.from) this.hover(null); });
    this.host.addEventListener("blur", () => this.hover(null));
    this.host.addEventListener("keydown", e => this.key(e));
    resized(this.host, this, () => this.draw());
  }

  /** Shows `spec`:
   *
   * x, y: {label, domain, log, format, hidden, ticks}; points: [{x, y, tip}] that can be hit; paint(ctx,
   * plot) draws what is seen; paintOver(ctx, plot) what changes with the hovered point; brushed(area,
   * more), if it is there, is called after a drag.
   */
  show(spec) {
    const before = this.hovered;
    this.spec = spec;
    this.hovered = before && (spec.points.find(p => p.x === before.x && p.y === before.y) ?? null);
    if (before && !this.hovered) hideTip();
    this.draw();
  }

  draw() {
    const {width, height} = this.host.getBoundingClientRect();
    if (!this.spec) return;
    this.width = width;
    this.height = height;
    if (!width || !height) return;
    const ctx = this.context(this.base);
    this.place(ctx);
    this.axes(ctx);
    ctx.save();
    this.spec.paint(ctx, this);
    ctx.restore();
    this.drawOver();
  }

  context(canvas) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(this.height * ratio);
    const ctx = canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, this.width, this.height);
    ctx.font = FONT;
    ctx.lineJoin = "round";
    return ctx;
  }

  /** Ticks and the rectangle that they leave. */
  place(ctx) {
    const {x, y} = this.spec;
    const upper = Math.max(3, Math.floor(this.height / 55));
    this.ticksY = y.hidden ? [] : (y.log ? logTicks : linearTicks)(...y.domain, upper);
    const widest = Math.max(0, ...this.ticksY.map(t => ctx.measureText(y.format(t)).width));
    this.left = y.hidden ? 8 : Math.ceil(widest) + 30;
    this.right = this.width - 12;
    this.top = 10;
    this.bottom = this.height - 42;
    const across = Math.max(4, Math.floor((this.right - this.left) / 75));
    this.ticksX = x.ticks ?? (x.log ? logTicks : linearTicks)(...x.domain, across);
    if (x.whole) this.ticksX = this.ticksX.filter(Number.isInteger);
    this.scaleX = this.scale(x, this.left, this.right);
    this.scaleY = this.scale(y, this.bottom, this.top);
  }

  scale({domain: [low, high], log}, from, to) {
    const f = log ? Math.log : v => v, a = f(low), b = f(high);
    return v => from + (f(v) - a) / (b - a) * (to - from);
  }

  value({domain: [low, high], log}, from, to, pixel) {
    const share = (pixel - from) / (to - from);
    return log ? low * (high / low) ** share : low + share * (high - low);
  }

  axes(ctx) {
    const {x, y} = this.spec;
    ctx.lineWidth = 1;
    ctx.strokeStyle = color("--line");
    ctx.fillStyle = color("--soft");
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    let end = -Infinity;
    for (const t of this.ticksX) {
      const at = this.scaleX(t), text = x.format(t), half = ctx.measureText(text).width / 2;
      this.line(ctx, at, this.top, at, this.bottom);
      if (at - half < end || at + half > this.width) continue;
      ctx.fillText(text, at, this.bottom + 5);
      end = at + half + 6;
    }
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    for (const t of this.ticksY) {
      this.line(ctx, this.left, this.scaleY(t), this.right, this.scaleY(t));
      ctx.fillText(y.format(t), this.left - 6, this.scaleY(t));
    }
    ctx.fillStyle = color("--text");
    ctx.textAlign = "center";
    ctx.textBaseline = "bottom";
    ctx.fillText(x.label, (this.left + this.right) / 2, this.height - 2, this.right - this.left);
    if (!y.hidden) {
      ctx.save();
      ctx.translate(12, (this.top + this.bottom) / 2);
      ctx.rotate(-Math.PI / 2);
      ctx.textBaseline = "middle";
      ctx.fillText(y.label, 0, 0, this.bottom - this.top);
      ctx.restore();
    }
  }

  line(ctx, x0, y0, x1, y1) {
    ctx.beginPath();
    ctx.moveTo(x0, y0);
    ctx.lineTo(x1, y1);
    ctx.stroke();
  }

  /** Keeps what is drawn from now on within the axes. */
  clip(ctx, room = 0) {
    ctx.beginPath();
    ctx.rect(this.left - room, this.top - room, this.right - this.left + 2 * room,
      this.bottom - this.top + 2 * room);
    ctx.clip();
  }

  /** A line through the values; null breaks it. `steps` joins points by steps. */
  path(ctx, xs, ys, steps = false) {
    ctx.beginPath();
    let pen = false, before = 0;
    xs.forEach((x, i) => {
      const y = ys[i];
      if (x === null || y === null || (this.spec.y.log && y <= 0)) {
        pen = false;
        return;
      }
      const at = [this.scaleX(x), this.scaleY(y)];
      if (!pen) ctx.moveTo(...at);
      else {
        if (steps) ctx.lineTo(at[0], before);
        ctx.lineTo(...at);
      }
      pen = true;
      before = at[1];
    });
    ctx.stroke();
  }

  drawOver() {
    const ctx = this.context(this.over);
    this.spec.paintOver?.(ctx, this);
    if (this.hovered) ring(ctx, this.scaleX(this.hovered.x), this.scaleY(this.hovered.y), 10);
    if (this.from?.dragged) {
      const {x0, y0, x1, y1} = this.from;
      ctx.fillStyle = color("--accent");
      ctx.globalAlpha = 0.15;
      ctx.fillRect(x0, y0, x1 - x0, y1 - y0);
      ctx.globalAlpha = 1;
      ctx.strokeStyle = color("--accent");
      ctx.strokeRect(x0, y0, x1 - x0, y1 - y0);
    }
  }

  at(event) {
    const box = this.host.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** The nearest point within reach, or null. */
  nearest(px, py) {
    let found = null, least = REACH ** 2;
    for (const p of this.spec?.points ?? []) {
      const distance = (this.scaleX(p.x) - px) ** 2 + (this.scaleY(p.y) - py) ** 2;
      if (distance < least) [found, least] = [p, distance];
    }
    return found;
  }

  hover(point) {
    if (point === this.hovered) return;
    this.hovered = point;
    if (this.spec) this.drawOver();
    const box = this.host.getBoundingClientRect();
    if (point) {
      showTip(point.tip(), box.left + this.scaleX(point.x), box.top + this.scaleY(point.y));
    } else {
      hideTip();
    }
    this.host.style.cursor = point && this.picked ? "pointer" : "";
  }

  move(event) {
    if (!this.spec) return;
    const [x, y] = this.at(event);
    if (this.from && this.spec.brushed) {
      Object.assign(this.from, {x1: x, y1: y});
      this.from.dragged ||= Math.hypot(x - this.from.x0, y - this.from.y0) > 5;
      hideTip();
      this.drawOver();
      return;
    }
    this.hover(this.nearest(x, y));
  }

  down(event) {
    if (event.button !== 0 || !this.spec) return;
    const [x, y] = this.at(event);
    this.from = {x0: x, y0: y, x1: x, y1: y, dragged: false};
    if (this.spec.brushed) {
      this.host.setPointerCapture(event.pointerId);
      event.preventDefault();
      this.host.focus({preventScroll: true});
    }
  }

  up(event) {
    const from = this.from, more = event.shiftKey || event.ctrlKey || event.metaKey;
    this.from = null;
    if (!from || !this.spec) return;
    if (from.dragged) {
      const value = (axis, a, b, p, q) => [this.value(axis, a, b, p), this.value(axis, a, b, q)]
        .sort((s, t) => s - t);
      this.spec.brushed({
        x: value(this.spec.x, this.left, this.right, from.x0, from.x1),
        y: value(this.spec.y, this.bottom, this.top, from.y0, from.y1),
      }, more);
      this.drawOver();
    } else {
      this.picked?.(this.nearest(from.x0, from.y0), more);
    }
  }

  key(event) {
    const points = this.spec?.points ?? [];
    const steps = {ArrowRight: ["x", 1], ArrowLeft: ["x", -1], ArrowUp: ["y", 1], ArrowDown: ["y", -1],
      Home: ["x", -Infinity], End: ["x", Infinity]};
    if (event.key in steps && points.length) {
      const [axis, step] = steps[event.key];
      const order = [...points].sort((a, b) => a[axis] - b[axis]);
      const now = order.indexOf(this.hovered);
      const next = now < 0 ? (step > 0 && isFinite(step) ? 0 : step < 0 ? 0 : order.length - 1) :
        Math.min(Math.max(now + step, 0), order.length - 1);
      this.hover(order[next]);
      say(order[next].tip());
    } else if ((event.key === "Enter" || event.key === " ") && this.hovered && this.picked) {
      this.picked(this.hovered, event.key === " " || event.shiftKey);
    } else if (event.key === "Escape") {
      this.hover(null);
    } else {
      return;
    }
    event.preventDefault();
  }
}

/** Shows lines of text beside a place of the window; the first one is bold. */
function showTip(text, x, y) {
  const tip = element("tip"), [head, ...rest] = text.split("\n");
  tip.replaceChildren();
  add(tip, "b", head);
  tip.append(rest.join("\n"));
  tip.hidden = false;
  const {width, height} = tip.getBoundingClientRect();
  const right = x + 16 + width < innerWidth, below = y + 16 + height < innerHeight;
  tip.style.left = Math.max(4, right ? x + 16 : x - 16 - width) + "px";
  tip.style.top = Math.max(4, below ? y + 16 : y - 16 - height) + "px";
}

function hideTip() {
  element("tip").hidden = true;
}

/** Tells a screen reader. */
function say(text) {
  element("said").textContent = text;
}

function ring(ctx, x, y, radius, stroke = color("--text")) {
  ctx.strokeStyle = stroke;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.stroke();
}

const SHAPES = {
  circle: (ctx, r) => ctx.arc(0, 0, r, 0, 2 * Math.PI),
  square: (ctx, r) => ctx.rect(-r, -r, 2 * r, 2 * r),
  diamond: (ctx, r) => polygon(ctx, [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]], r),
  star: (ctx, r) => polygon(ctx, Array.from({length: 10}, (_, i) => {
    const angle = i * Math.PI / 5, length = i % 2 ? 0.62 : 1.55;
    return [length * Math.sin(angle), -length * Math.cos(angle)];
  }), r),
  // right angle at the upper left: the trial could only have ended below and to the right
  corner: (ctx, r) => polygon(ctx, [[-1, -1], [1.2, -1], [-1, 1.2]], r),
  "corner-low": (ctx, r) => polygon(ctx, [[-1, 1], [1.2, 1], [-1, -1.2]], r),
  cross: (ctx, r) => polygon(ctx, [[-1.3, -0.4], [-0.4, -0.4], [-0.4, -1.3], [0.4, -1.3], [0.4, -0.4],
    [1.3, -0.4], [1.3, 0.4], [0.4, 0.4], [0.4, 1.3], [-0.4, 1.3], [-0.4, 0.4], [-1.3, 0.4]], r),
  x: (ctx, r) => { ctx.rotate(Math.PI / 4); SHAPES.cross(ctx, r); },
};

function polygon(ctx, corners, r) {
  corners.forEach(([x, y], i) => ctx[i ? "lineTo" : "moveTo"](x * r, y * r));
  ctx.closePath();
}

/** A mark; a hollow one stands for a point outside the axes. */
function mark(ctx, x, y, {shape = "circle", radius = 5, fill, hollow = false}) {
  ctx.save();
  ctx.translate(x, y);
  ctx.beginPath();
  SHAPES[shape](ctx, radius);
  ctx.lineWidth = hollow ? 1.6 : 1;
  ctx.fillStyle = hollow ? color("--card") : fill;
  ctx.strokeStyle = hollow ? fill : color("--card");
  ctx.fill();
  ctx.stroke();
  ctx.restore();
}

/** Entries of a legend: {text, shape or line (a dash pattern), fill, remove}. */
function legend(id, entries) {
  const host = element(id);
  host.replaceChildren();
  for (const {text, shape, line, fill, hollow, remove} of entries) {
    const entry = add(host, remove ? "button" : "span");
    if (remove) {
      entry.type = "button";
      entry.title = "remove";
      entry.onclick = remove;
    }
    const canvas = add(entry, "canvas"), ratio = window.devicePixelRatio || 1;
    canvas.width = 24 * ratio;
    canvas.height = 16 * ratio;
    canvas.style.width = "24px";
    canvas.style.height = "16px";
    canvas.setAttribute("aria-hidden", "true");
    const ctx = canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    if (line) {
      ctx.strokeStyle = fill;
      ctx.lineWidth = 2;
      ctx.setLineDash(line);
      ctx.beginPath();
      ctx.moveTo(1, 8);
      ctx.lineTo(23, 8);
      ctx.stroke();
    }
    if (shape) mark(ctx, 12, 8, {shape, radius: 5, fill, hollow});
    add(entry, "span", text);
  }
}
