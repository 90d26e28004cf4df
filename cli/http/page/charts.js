/**
 * Lines over the last minutes, ten at most.
 *
 * @module
 */

import {
  byId,
  bytes,
  colour,
  context2d,
  count,
  duration,
  legendItem,
} from "./figures.js";

/** How much time a chart shows, milliseconds: less for a new server. */
const [SPAN_MIN_MS, SPAN_MAX_MS] = [120_000, 600_000];
/** A longer gap between two samples is no line. */
const GAP_MS = 6000;
/** Lines across a chart. */
const STEPS = 4;

function perSecond(value) {
  return `${bytes(value)}/s`;
}

const CHARTS = [
  {
    id: "throughput",
    format: perSecond,
    divisor: 1024,
    least: 1024,
    lines: [["readBytes", "Read", "--read"], [
      "writtenBytes",
      "Written",
      "--write",
    ]],
  },
  {
    id: "requests",
    format: (value) => `${count(value)}/s`,
    divisor: 1000,
    least: 1,
    lines: [["reads", "Reads", "--read"], ["writes", "Writes", "--write"]],
  },
  {
    id: "latency",
    format: duration,
    divisor: 1000,
    least: 1e-6,
    lines: [["readLatency", "Reads", "--read"], [
      "writeLatency",
      "Writes",
      "--write",
    ]],
  },
];

/** Draws all charts. */
export function drawCharts(samples, now) {
  for (const chart of CHARTS) {
    draw(chart, samples, now);
    tell(chart, samples);
  }
}

/** The newest values, as text. */
function tell({ id, lines, format }, samples) {
  const newest = samples.at(-1);
  const texts = lines.map(([key, name]) => {
    const value = newest?.[key];
    return `${name}: ${
      value === null || value === undefined ? "none" : format(value)
    }`;
  });
  byId(`${id}-legend`).replaceChildren(
    ...lines.map(([, , name], i) => legendItem(colour(name), texts[i])),
  );
  byId(id).setAttribute(
    "aria-label",
    `The last minutes; now ${texts.join(", ")}`,
  );
}

function draw({ id, lines, format, divisor, least }, samples, now) {
  const canvas = byId(id);
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width === 0) return;
  const context = context2d(canvas, width, height);
  const values = samples.flatMap((one) => lines.map(([key]) => one[key] ?? 0));
  const top = niceTop(Math.max(...values, 0), divisor, least);
  const [above, below] = [8, height - 20];
  const yOf = (value) => below - value / top * (below - above);
  const age = now - (samples[0]?.time ?? now);
  const span = Math.max(SPAN_MIN_MS, Math.min(SPAN_MAX_MS, age));
  const xOf = (time) => width - (now - time) / span * width;
  drawGrid(context, { width, above, below, span, top, format });
  for (const [key, , name] of lines) {
    context.strokeStyle = colour(name);
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.lineCap = "round";
    context.beginPath();
    let before;
    for (const one of samples) {
      const value = one[key];
      if (value === null) before = undefined;
      else {
        const isNext = before !== undefined && one.time - before < GAP_MS;
        if (!isNext) context.moveTo(xOf(one.time) - 1, yOf(value));
        context.lineTo(xOf(one.time), yOf(value));
        before = one.time;
      }
    }
    context.stroke();
  }
}

function drawGrid(context, { width, above, below, span, top, format }) {
  context.font = "12px system-ui, sans-serif";
  context.strokeStyle = colour("--line");
  context.lineWidth = 1;
  for (let i = 0; i <= STEPS; i++) {
    const y = Math.round(below - i / STEPS * (below - above)) + 0.5;
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.stroke();
  }
  context.fillStyle = colour("--muted");
  context.textBaseline = "top";
  context.fillText(format(top), 0, above + 3);
  context.fillText(`${duration(span / 1000)} ago`, 0, below + 6);
  context.textAlign = "right";
  context.fillText("now", width, below + 6);
}

/** A round number that is not below the largest value. */
function niceTop(largest, divisor, least) {
  if (largest <= least) return least;
  const unit = divisor ** Math.floor(Math.log(largest) / Math.log(divisor));
  const steps = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
  return unit * steps.find((step) => step * unit >= largest);
}
