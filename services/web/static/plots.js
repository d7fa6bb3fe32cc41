// Draws each <figure class="plot"> with Chart.js. What is shown comes as JSON (services/web/
// plot.py); how it looks is decided here and in pages.css alone.
(() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const faint = (name, share) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour(name).slice(at, at + 2), 16));
    return `rgba(${r}, ${g}, ${b}, ${share})`;
  };

  const LANE = 19;
  const above = (list) => list.filter((band) => band.place === "above");

  // The library knows months by their English names alone.
  const isEnglish = document.documentElement.lang.startsWith("en");

  const bands = {
    id: "bands",
    beforeDatasetsDraw(chart, _args, { list }) {
      const { ctx, chartArea: area, scales } = chart;
      const ends = (band) => {
        const scale = scales[band.axis];
        const upright = band.axis === "x";
        const at = (value, end) => value === null ? end : scale.getPixelForValue(scale.parse ? scale.parse(value) : value);
        const [a, b] = [at(band.begins, upright ? area.left : area.bottom), at(band.ends, upright ? area.right : area.top)];
        const [least, most] = upright ? [area.left, area.right] : [area.top, area.bottom];
        const within = (place) => Math.min(Math.max(place, least), most);
        return [within(Math.min(a, b)), within(Math.max(a, b))];
      };
      // Words keep clear of lines that cross them.
      const write = (text, x, y) => {
        ctx.strokeStyle = getComputedStyle(document.body).backgroundColor;
        ctx.lineWidth = 2.5;
        ctx.globalAlpha = 0.6;
        ctx.strokeText(text, x, y);
        ctx.globalAlpha = 1;
        ctx.fillText(text, x, y);
      };
      ctx.save();
      ctx.lineJoin = "round";
      ctx.font = `12px ${Chart.defaults.font.family}`;
      ctx.textBaseline = "top";
      above(list).forEach((band, lane) => {
        const [low, high] = ends(band);
        const top = area.top - LANE * (above(list).length - lane);
        const width = Math.max(high - low, 3);
        ctx.fillStyle = faint(band.tone, 0.22);
        ctx.fillRect(low, top, width, LANE - 3);
        ctx.fillStyle = colour(band.tone);
        if (low > area.left) ctx.fillRect(low, top, 3, LANE - 3); // else it began before
        const room = ctx.measureText(band.says).width + 10;
        ctx.fillText(band.says, room > width ? Math.max(Math.min(low, area.right) - room, area.left) : low + 8, top + 2);
      });
      ctx.beginPath();
      ctx.rect(area.left, area.top, area.width, area.height);
      ctx.clip();
      let row = 0;
      for (const band of list) {
        const upright = band.axis === "x";
        const [low, high] = ends(band);
        if (band.place === "above") {
          ctx.fillStyle = faint(band.tone, 0.5);
          if (low > area.left) ctx.fillRect(low, area.top, 1, area.height);
          continue;
        }
        ctx.fillStyle = faint(band.tone, upright ? 0.13 : 0.11);
        if (upright) ctx.fillRect(low, area.top, Math.max(high - low, 2), area.height);
        else ctx.fillRect(area.left, low, area.width, high - low);
        ctx.fillStyle = colour(band.tone);
        if (upright) write(band.says, low + 4, area.top + 4 + 15 * (row++ % 3));
        else if (high - low > 15) write(band.says, area.left + 6, low + 3);
      }
      ctx.restore();
    },
  };

  const axis = (given, isUpright, isStacked) => {
    const made = {
      type: given.type,
      title: { display: Boolean(given.title), text: given.title },
      grid: { color: faint("plain", 0.12) },
      ticks: { maxRotation: 0, autoSkipPadding: 16, display: given.type === "category" || !(isUpright && given.title === "") },
      stacked: isStacked,
    };
    if (isUpright && given.type === "category") made.ticks.autoSkip = false;
    if (given.least !== null) made.min = given.least;
    if (given.most !== null) made.max = given.most;
    if (given.names.length) Object.assign(made, { labels: given.names, offset: true });
    if (given.type === "time") made.time = { tooltipFormat: isEnglish ? "d MMM yyyy" : "d.M.yyyy", minUnit: "day", displayFormats: isEnglish ? { day: "d MMM", month: "MMM yyyy" } : { day: "d.M.", month: "M/yyyy" } };
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
      clip: 8, // a point at an end of the axis is whole
    };
  };

  const draw = (figure) => {
    const given = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const isLying = given.y.type === "category" && given.series.every((one) => one.kind === "bar");
    const area = figure.querySelector(".plot-area");
    area.style.height = `${given.height}px`;
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    Chart.defaults.color = getComputedStyle(document.body).color;
    return new Chart(figure.querySelector("canvas"), {
      data: { datasets: given.series.map(series) },
      options: {
        animation: false,
        locale: document.documentElement.lang,
        maintainAspectRatio: false,
        interaction: { mode: "nearest", intersect: false },
        layout: { padding: { top: above(given.bands).length * LANE } },
        indexAxis: isLying ? "y" : "x",
        scales: { x: axis(given.x, false, given.stacked), y: axis(given.y, true, given.stacked) },
        plugins: {
          bands: { list: given.bands },
          legend: { display: given.series.length > 1, position: "bottom", labels: { usePointStyle: true, boxHeight: 7 } },
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
