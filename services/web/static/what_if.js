// Improves the what-if page: short addresses, a search in conditions, the slider, copying.
(() => {
  const $ = (selector) => document.querySelector(selector);

  for (const form of document.querySelectorAll('form[method="get"]')) {
    form.addEventListener("submit", () => {
      const empty = [...form.elements].filter((field) => field.name && field.value === "");
      empty.forEach((field) => { field.disabled = true; });
      setTimeout(() => empty.forEach((field) => { field.disabled = false; }));
    });
  }

  const filter = $(".filter");
  if (filter) {
    const labels = [...document.querySelectorAll(".conditions label")];
    filter.hidden = false;
    filter.addEventListener("input", () => {
      const wanted = filter.value.trim().toLowerCase();
      for (const label of labels) label.hidden = !label.textContent.toLowerCase().includes(wanted);
    });
    filter.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  }

  const slide = $("#slide");
  if (slide) {
    const { unit, digits, intervals } = JSON.parse($("#slides").textContent);
    const rows = [...document.querySelectorAll("#intervals tbody tr")];
    const show = () => {
      const value = Number(slide.value);
      const at = intervals.findLastIndex((one) => one.begins <= value);
      const says = `${value.toFixed(digits)} ${unit}`;
      $("#slid").textContent = `${says}: ${intervals[Math.max(at, 0)].says}`;
      slide.setAttribute("aria-valuetext", says);
      rows.forEach((row, number) => row.classList.toggle("slid", number === at));
    };
    $(".slider").hidden = false;
    slide.addEventListener("input", show);
    show();
  }

  const copy = $("#copy");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText($("#share").value);
      copy.textContent = "Copied";
    });
  }

  const made = $("details.made-up");
  if (made && $(".verdicts") && matchMedia("(max-width: 62rem)").matches) made.open = false;
})();
