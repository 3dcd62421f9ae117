"use strict";
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");
  const touch = window.matchMedia("(pointer: coarse)");
  const themes = JSON.parse(document.getElementById("themes").textContent);
  const plots = new Map(); // the figure element → what is drawn in it
  const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false };
  const printing = { now: false };

  const theme = () => themes[dark.matches && !printing.now ? "dark" : "light"];

  // "$name" is a colour of the theme, "$name@20" the same at 20 % opacity.
  const paint = (value) => {
    if (Array.isArray(value)) return typeof value.at(-1) === "number" ? value : value.map(paint);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v)]));
    if (typeof value !== "string" || value[0] !== "$") return value;
    const [name, percent] = value.slice(1).split("@");
    const hex = theme()[name];
    if (percent === undefined) return hex;
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    return `rgba(${r},${g},${b},${percent / 100})`;
  };

  const hiddenIn = (figure) => figure.closest(".problem").hiddenOptimizers ?? new Set();

  // How many of a path's points have been reached at a step.
  const reached = (steps, step) => {
    let [low, high] = [0, steps.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (steps[middle] <= step) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  const draw = (figure) => {
    const plot = plots.get(figure);
    const hidden = hiddenIn(figure);
    const layout = paint(structuredClone(plot.source.layout));
    const data = paint(plot.source.data);
    data.forEach((trace) => {
      if (trace.type === "contour") trace.showscale = !narrow.matches;
      if (trace.meta?.optimizer && hidden.has(trace.meta.optimizer)) trace.visible = false;
    });
    if (narrow.matches) Object.assign(layout, paint(plot.source.narrow ?? {}));
    if (plot.stepType) Object.assign(layout.xaxis, plot.source.steps[plot.stepType]);
    layout.paper_bgcolor = "rgba(0,0,0,0)";
    layout.dragmode = touch.matches || plot.moves ? false : "zoom";
    if (plot.moves) drawInTwoLayers(figure, data, layout);
    else Plotly.react(figure.querySelector(".canvas"), data, layout, CONFIG);
    plot.drawn = true;
    if (plot.moves && plot.frame !== plot.source.frames.length - 1) show(figure, plot.frame);
  };

  // A moving picture's contours lie in a plot of their own behind it: to draw them anew for each frame would take too long.
  const drawInTwoLayers = (figure, data, layout) => {
    const [back, front] = figure.querySelectorAll(".canvas > div");
    layout.xaxis.fixedrange = layout.yaxis.fixedrange = true;
    const isBehind = (trace) => trace.type === "contour";
    Plotly.react(back, data.filter(isBehind), layout, CONFIG);
    const { l, r, t, b } = back._fullLayout._size; // after the colour bar has taken its room
    const axes = { xaxis: { ...layout.xaxis, visible: false }, yaxis: { ...layout.yaxis, visible: false } };
    const margin = { l, r, t, b, autoexpand: false };
    Plotly.react(front, data.filter((trace) => !isBehind(trace)), { ...layout, ...axes, margin }, CONFIG);
    plots.get(figure).behind = data.filter(isBehind).length;
  };

  const show = (figure, frame) => {
    const plot = plots.get(figure);
    const step = plot.source.frames[frame];
    plot.frame = frame;
    const told = (count) => (plot.source.unit === "steps" ? `step ${count}` : `${count} ${plot.source.unit}`);
    figure.querySelector(".player output").textContent = told(step.toLocaleString("en"));
    figure.querySelector(".player input").value = frame;
    figure.querySelector(".player input").setAttribute("aria-valuetext", told(step));
    if (!plot.drawn) return;
    const [indices, xs, ys, facts, symbols] = [[], [], [], [], []];
    plot.source.data.forEach((trace, index) => {
      const meta = trace.meta;
      if (!meta?.steps) return;
      const isHead = meta.path !== undefined;
      const count = reached(meta.steps, step);
      const path = plot.source.data[isHead ? meta.path : index];
      const from = isHead ? count - 1 : 0;
      indices.push(index - plot.behind);
      xs.push(path.x.slice(from, count));
      ys.push(path.y.slice(from, count));
      facts.push(path.customdata.slice(from, count));
      symbols.push(meta.diverged && count === meta.steps.length ? "x" : meta.symbol);
    });
    const changes = { x: xs, y: ys, customdata: facts, "marker.symbol": symbols };
    Plotly.restyle(figure.querySelector(".canvas > :last-child"), changes, indices);
  };

  const pause = (figure) => {
    const plot = plots.get(figure);
    window.clearInterval(plot.timer);
    plot.timer = undefined;
    const button = figure.querySelector(".player .play");
    button.textContent = "▶ Play";
    button.setAttribute("aria-pressed", "false");
  };

  const play = (figure) => {
    const plot = plots.get(figure);
    const last = plot.source.frames.length - 1;
    if (plot.frame === last) show(figure, 0);
    const button = figure.querySelector(".player .play");
    button.textContent = "❚❚ Pause";
    button.setAttribute("aria-pressed", "true");
    plot.timer = window.setInterval(() => {
      if (plot.frame >= last) pause(figure);
      else show(figure, plot.frame + 1);
    }, 90);
  };

  const setUp = (figure) => {
    const source = JSON.parse(figure.querySelector("script").textContent);
    const plot = { source, stepType: source.stepType, moves: Boolean(source.frames), drawn: false };
    plots.set(figure, plot);
    if (plot.moves) {
      plot.frame = source.frames.length - 1;
      figure.querySelector(".player .play").addEventListener("click", () => (plot.timer ? pause(figure) : play(figure)));
      figure.querySelector(".player input").addEventListener("input", (event) => {
        pause(figure);
        show(figure, Number(event.target.value));
      });
    }
    for (const button of figure.querySelectorAll(".toggle")) {
      button.addEventListener("click", () => {
        plot.stepType = plot.stepType === "log" ? "linear" : "log";
        button.textContent = plot.stepType === "log" ? "linear axis" : "log axis";
        draw(figure);
      });
    }
  };

  const setUpLegend = (legend) => {
    const problem = legend.closest(".problem");
    const hidden = (problem.hiddenOptimizers = new Set());
    const buttons = [...legend.querySelectorAll("button[data-optimizer]")];
    const apply = () => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.optimizer)));
      for (const figure of problem.querySelectorAll("figure.plot")) if (plots.get(figure).drawn) draw(figure);
    };
    for (const button of buttons) {
      const name = button.dataset.optimizer;
      button.addEventListener("click", () => {
        if (!hidden.delete(name)) hidden.add(name);
        apply();
      });
      button.addEventListener("dblclick", () => {
        for (const other of buttons) hidden.add(other.dataset.optimizer);
        hidden.delete(name);
        apply();
      });
    }
    legend.querySelector(".all")?.addEventListener("click", () => {
      if (hidden.size) hidden.clear();
      else for (const button of buttons) hidden.add(button.dataset.optimizer);
      apply();
    });
  };

  const figures = [...document.querySelectorAll("figure.plot")];
  figures.forEach(setUp);
  document.querySelectorAll(".legend").forEach(setUpLegend);

  const drawSoon = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        drawSoon.unobserve(target);
        if (!plots.get(target).drawn) draw(target);
      }
    },
    { rootMargin: "600px" },
  );
  figures.forEach((figure) => drawSoon.observe(figure));

  const redraw = () => figures.filter((figure) => plots.get(figure).drawn).forEach(draw);
  dark.addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);
  window.addEventListener("beforeprint", () => {
    printing.now = true;
    figures.forEach(draw);
  });
  window.addEventListener("afterprint", () => {
    printing.now = false;
    redraw();
  });
})();
