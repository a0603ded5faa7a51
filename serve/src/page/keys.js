// Keys: / to type, g for the map, arrows among the results, Enter opens, m for more like it, w why, + and - vote.
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches?.("input, textarea");
  if (event.key === "/" && !typing) { event.preventDefault(); at("words").focus(); at("words").select(); return; }
  if (event.key === "g" && !typing) { at("view").click(); return; }
  if (mapped()) { if (event.key === "ArrowDown" && event.target === at("words")) { event.preventDefault(); at("field").focus(); } return; }
  const cards = [...at("grid").children], now = cards.indexOf(document.activeElement?.closest?.(".hit"));
  if (event.key === "ArrowDown" && event.target === at("words") && cards.length) { event.preventDefault(); (cards.find(c => c.tabIndex === 0) ?? cards[0]).focus(); return; }
  if (now < 0) return;
  // From a card's button back to the card.
  if (event.key === "Escape") { cards[now].focus(); return; }
  if (document.activeElement !== cards[now]) return;
  const columns = getComputedStyle(at("grid")).gridTemplateColumns.split(" ").length;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  const press = selector => cards[now].querySelector(selector)?.click();
  if (step) {
    event.preventDefault();
    const next = cards[now + step];
    if (next) { cards[now].tabIndex = -1; next.tabIndex = 0; next.focus(); next.scrollIntoView({ block: "nearest" }); }
    else if (now + step < 0) at("words").focus();
  } else if (event.key === "+") press(".thumb");
  else if (event.key === "-") press(".thumb + .thumb");
  else if (event.key === "Enter") cards[now].querySelector("a")?.click() ?? cards[now].querySelector("audio, video")?.play();
  else if (event.key === "w") press(".why");
  else if (event.key === "m") press(".more:not(.why)");
});

(async () => {
  try {
    const index = await call("/v1/index");
    const kinds = Object.entries(index.modalities);
    votes = index.votes;
    at("holds").textContent = [index.name, ...kinds.map(([kind, n]) => plural(n, NAMES[kind].slice(0, -1).toLowerCase()))].filter(Boolean).join(" · ");
    if (kinds.length > 1) for (const [value, name] of [["", "All"], ...kinds.map(([kind]) => [kind, NAMES[kind]])])
      at("kinds").append(make("label", {}, make("input", { type: "radio", name: "kind", value, checked: value ? null : "" }), name));
    if (!index.queries.includes("audio")) at("record").classList.add("hidden");
    const q = new URLSearchParams(location.search).get("q");
    if (q) { at("words").value = q; search({ text: q }); }
  } catch (e) {
    say(e.message, true);
    at("form").classList.add("hidden");
    at("empty").replaceChildren(make("b", {}, "There is nothing to search here"), "The models answer at /v1; ", make("a", { href: "/openapi.json" }, "openapi.json"), " lists what they can be asked.");
  }
})();
