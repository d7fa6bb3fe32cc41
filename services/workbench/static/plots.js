// Draws each <figure class="plot"> with Chart.js. What is shown comes as JSON (services/workbench/
// plot.py); how it looks is decided here and in workbench.css alone.
(() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const faint = (name, share) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour(name).slice(at, at + 2), 16));
    return `rgba(${r}, ${g}, ${b}, ${share})`;
  };

  const bands = {
    id: "bands",
    beforeDatasetsDraw(chart, _args, { list }) {
      const { ctx, chartArea: area, scales } = chart;
      ctx.save();
      ctx.beginPath();
      ctx.rect(area.left, area.top, area.width, area.height);
      ctx.clip();
      ctx.font = `12px ${Chart.defaults.font.family}`;
      ctx.textBaseline = "top";
      let row = 0;
      for (const band of list) {
        const scale = scales[band.axis];
        const at = (value, end) => value === null ? end : scale.getPixelForValue(scale.parse ? scale.parse(value) : value);
        const upright = band.axis === "x";
        const from = at(band.begins, upright ? area.left : area.bottom);
        const to = at(band.ends, upright ? area.right : area.top);
        const [low, high] = [Math.min(from, to), Math.max(from, to)];
        ctx.fillStyle = faint(band.tone, upright ? 0.13 : 0.11);
        if (upright) ctx.fillRect(low, area.top, Math.max(high - low, 2), area.height);
        else ctx.fillRect(area.left, low, area.width, high - low);
        ctx.fillStyle = colour(band.tone);
        if (upright) ctx.fillText(band.says, Math.max(low, area.left) + 4, area.top + 4 + 15 * (row++ % 3));
        else if (high - low > 15) ctx.fillText(band.says, area.left + 6, Math.max(low, area.top) + 3);
      }
      ctx.restore();
    },
  };

  const axis = (given, isUpright) => {
    const made = {
      type: given.type,
      title: { display: Boolean(given.title), text: given.title },
      grid: { color: faint("plain", 0.12) },
      ticks: { maxRotation: 0, autoSkipPadding: 16, display: !(isUpright && given.title === "") },
    };
    if (given.least !== null) made.min = given.least;
    if (given.most !== null) made.max = given.most;
    if (given.type === "time") made.time = { tooltipFormat: "d MMM yyyy", minUnit: "day", displayFormats: { day: "d MMM", month: "MMM yyyy" } };
    return made;
  };

  const series = (given) => {
    const isBar = given.kind === "bar";
    const isSpan = isBar && given.points.some(([, y]) => Array.isArray(y));  // from one value to another
    return {
      type: isBar ? "bar" : "line",
      label: given.name,
      data: given.points.map(([x, y, says]) => ({ x, y, says })),
      borderColor: colour(given.tone),
      backgroundColor: isBar ? faint(given.tone, 0.75) : colour(given.tone),
      borderWidth: isBar ? 0 : 2,
      grouped: !isSpan,
      showLine: given.kind !== "points",
      stepped: given.kind === "steps",
      pointRadius: given.kind === "points" ? 6 : given.points.length > 40 ? 0 : 4,
      pointHoverRadius: 7,
      tension: 0,
    };
  };

  const draw = (figure) => {
    const given = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const area = figure.querySelector(".plot-area");
    area.style.height = `${given.height}px`;
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    Chart.defaults.color = getComputedStyle(document.body).color;
    return new Chart(figure.querySelector("canvas"), {
      data: { datasets: given.series.map(series) },
      options: {
        animation: false,
        maintainAspectRatio: false,
        interaction: { mode: "nearest", intersect: false },
        scales: { x: axis(given.x, false), y: axis(given.y, true) },
        plugins: {
          bands: { list: given.bands },
          legend: { display: given.series.length > 1 },
          tooltip: { callbacks: { afterLabel: (item) => item.raw.says || "" } },
        },
      },
      plugins: [bands],
    });
  };

  let drawn = [];
  const redraw = () => {
    drawn.forEach((chart) => chart.destroy());
    drawn = [...document.querySelectorAll("figure.plot")].map(draw);
  };
  redraw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(redraw));
  addEventListener("beforeprint", () => drawn.forEach((chart) => chart.resize()));
})();
