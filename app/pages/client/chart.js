// The course of learning as lines over steps. Axes are labelled with what they show, and need not begin at zero.

const chart = (() => {
  const SPACE = "http://www.w3.org/2000/svg";
  const HIGH = 210;
  const EDGE = { left: 52, right: 12, top: 12, bottom: 38 };

  function shape(tag, attributes, text) {
    const node = document.createElementNS(SPACE, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }

  // About `count` round numbers from `low` to `high`.
  function ticks(low, high, count) {
    const rough = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(Number(at.toPrecision(10)));
    return found;
  }
  const short = (value) => String(Number(value.toPrecision(3)));

  // `lines`: [{name, points: [[step, value]], kind}]. `steps`: how many there will be. `wide`: in pixels.
  function draw(lines, steps, wide) {
    const all = lines.flatMap((line) => line.points);
    const values = all.map(([, value]) => value);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const margin = (most - least) * 0.08 || Math.abs(most) * 0.1 || 1;
    const [low, high] = [least >= 0 ? Math.max(0, least - margin) : least - margin, most + margin];
    const end = Math.max(steps, ...all.map(([step]) => step), 1);
    const x = (step) => EDGE.left + (step / end) * (wide - EDGE.left - EDGE.right);
    const y = (value) => HIGH - EDGE.bottom - ((value - low) / (high - low)) * (HIGH - EDGE.top - EDGE.bottom);
    const label = lines.map((line) => T("teach.chart_now", { name: line.name, value: short(line.points[line.points.length - 1][1]) })).join("; ");
    const svg = shape("svg", { viewBox: "0 0 " + wide + " " + HIGH, width: wide, height: HIGH, class: "wn-chart", role: "img", "aria-label": T("teach.chart") + ". " + label });
    for (const at of ticks(low, high, 6)) {
      svg.append(shape("line", { x1: EDGE.left, x2: wide - EDGE.right, y1: y(at), y2: y(at), class: "wn-chart-grid" }));
      svg.append(shape("text", { x: EDGE.left - 8, y: y(at) + 4, "text-anchor": "end" }, short(at)));
    }
    for (const at of ticks(0, end, wide < 480 ? 3 : 6)) svg.append(shape("text", { x: x(at), y: HIGH - EDGE.bottom + 18, "text-anchor": "middle" }, String(Math.round(at))));
    svg.append(shape("text", { x: (EDGE.left + wide - EDGE.right) / 2, y: HIGH - 4, "text-anchor": "middle", class: "wn-chart-axis" }, T("teach.chart_steps")));
    const middle = (HIGH - EDGE.bottom + EDGE.top) / 2;
    svg.append(shape("text", { x: 12, y: middle, "text-anchor": "middle", transform: "rotate(-90 12 " + middle + ")", class: "wn-chart-axis" }, T("teach.chart_loss")));
    for (const line of lines) {
      svg.append(shape("polyline", { points: line.points.map(([step, value]) => x(step).toFixed(1) + "," + y(value).toFixed(1)).join(" "), class: "wn-chart-line", "data-line": line.kind }));
      if (line.points.length < 25) for (const [step, value] of line.points) svg.append(shape("circle", { cx: x(step), cy: y(value), r: 3, class: "wn-chart-dot", "data-line": line.kind }));
    }
    return svg;
  }

  function legend(lines) {
    return h("p.wn-chart-legend.wn-small", { "aria-hidden": "true" }, lines.map((line) => h("span", { "data-line": line.kind }, line.name + " " + short(line.points[line.points.length - 1][1]))));
  }
  return { draw, legend };
})();
