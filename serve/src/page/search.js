// What is searched with: {text}, {file} or {row}, and how much is shown of it.
const STEP = 48, MOST = 960;
let asked = null, shown = STEP, running = null, found = [];

// The filters, as the search takes them; empty ones are left out.
const FILTERS = ["not", "path", "label", "where", "since", "before"];
function filters() {
  const wanted = {};
  for (const name of FILTERS) { const value = at(name).value.trim(); if (value) wanted[name] = value; }
  if (at("good").checked) wanted.chance = 1e-4;
  const count = Object.keys(wanted).length;
  at("active").textContent = count ? " · " + count : "";
  at("filter").classList.toggle("on", count > 0);
  return wanted;
}
const kind = () => at("kinds").querySelector(":checked")?.value ?? "";

// What it is searched with, where that is not words.
function given(what) {
  const box = at("given");
  box.querySelectorAll("img, audio").forEach(node => node.src.startsWith("blob:") && URL.revokeObjectURL(node.src));
  box.replaceChildren();
  box.classList.toggle("hidden", !what || "text" in what);
  if (!what || "text" in what) return;
  const url = what.file ? URL.createObjectURL(what.file) : what.hit.modality === "image" ? `/v1/items/${what.row}/thumbnail` : what.hit.file;
  const is = what.file ? what.file.type.split("/")[0] : what.hit.modality;
  if (is === "image") box.append(make("img", { src: url, alt: "" }));
  if (is === "audio") box.append(make("audio", { src: url, controls: "", "aria-label": "What is searched with" }));
  const close = make("button", { type: "button", class: "icon", title: "Search without it", "aria-label": "Search without it" });
  close.innerHTML = icon("M6 6l12 12M18 6 6 18");
  close.onclick = () => { asked = null; given(null); clear(); at("words").focus(); };
  box.append(make("span", {}, "Like ", make("b", {}, what.name ?? what.file.name)), close);
}

function clear() {
  running?.abort();
  found = [];
  at("grid").replaceChildren();
  at("next").classList.add("hidden");
  at("empty").classList.remove("hidden");
  say("");
  lit(null);
}

// `keep`: more of the same search.
async function search(what, keep = false, note = true) {
  asked = what;
  if (!keep) { shown = STEP; given(what); }
  if (note && "text" in what && new URLSearchParams(location.search).get("q") !== what.text) history.pushState(null, "", "?q=" + encodeURIComponent(what.text));
  running?.abort();
  const mine = running = new AbortController();
  document.body.classList.add("busy");
  say("Searching …");
  try {
    const wanted = filters(), only = kind();
    let options;
    if (what.file) {
      const form = new FormData();
      form.append("query_file", what.file, what.file.name || "query");
      form.append("k", shown);
      if (only) form.append("modality", only);
      Object.entries(wanted).forEach(([name, value]) => form.append(name, value));
      options = { body: form };
    } else {
      const query = "text" in what ? { text: what.text } : { row: what.row };
      options = { body: JSON.stringify({ query, k: shown, modality: only ? [only] : [], ...wanted }), headers: { "Content-Type": "application/json" } };
    }
    const told = await call("/v1/search", { method: "POST", signal: mine.signal, ...options });
    const grid = at("grid"), before = keep ? grid.children.length : 0, hits = told.hits.length;
    if (!keep) { grid.replaceChildren(); if (!mapped()) scrollTo({ top: 0 }); }
    found = told.hits;
    grid.append(...found.slice(before).map((hit, i) => card(hit, before + i)));
    at("empty").classList.add("hidden");
    at("next").classList.toggle("hidden", hits < shown || shown >= MOST);
    say(hits ? `${plural(hits, "result")} of ${told.count.toLocaleString()}, in ${Math.round(told.seconds * 1000)} ms` : told.left_out ? "No good match: what is nearest is no nearer than random pairs are." : "Nothing was found.");
    lit(found);
  } catch (e) {
    if (e.name !== "AbortError") { if (!keep) { clear(); at("empty").classList.add("hidden"); } say(e.message, true); }
  } finally {
    if (running === mine) document.body.classList.remove("busy");
  }
}

const again = () => { if (asked) search(asked); else filters(); };
at("form").onsubmit = event => {
  event.preventDefault();
  const text = at("words").value.trim();
  if (text) search({ text });
  else if (asked && !("text" in asked)) search(asked);
};
at("kinds").onchange = () => { if (asked) search(asked); else lit(null); };
at("filters").onchange = event => { event.stopPropagation(); again(); };
function filtering(open) {
  at("filters").classList.toggle("hidden", !open);
  at("filter").setAttribute("aria-expanded", String(open));
}
at("filter").onclick = () => filtering(at("filters").classList.contains("hidden"));
at("reset").onclick = () => { FILTERS.forEach(name => at(name).value = ""); at("good").checked = false; again(); };
at("next").onclick = () => { shown = Math.min(MOST, shown + STEP); search(asked, true); };
const narrow = matchMedia("(max-width: 520px)"), hint = () => { at("words").placeholder = narrow.matches ? "Search …" : "Search with words, a picture, a sound …"; };
narrow.addEventListener("change", hint);
hint();
at("pick").onclick = () => at("file").click();
at("file").onchange = () => { const [file] = at("file").files; at("file").value = ""; if (file) search({ file }); };
addEventListener("popstate", () => {
  const q = new URLSearchParams(location.search).get("q");
  at("words").value = q ?? "";
  if (q) search({ text: q }, false, false);
  else { asked = null; given(null); clear(); }
});

// Drop and paste.
const first = list => [...(list ?? [])].find(f => /^(image|audio|video)\//.test(f.type));
let depth = 0;
const drags = event => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", event => { if (drags(event)) { depth++; document.body.classList.add("drop"); } });
addEventListener("dragleave", event => { if (drags(event) && --depth <= 0) { depth = 0; document.body.classList.remove("drop"); } });
addEventListener("dragover", event => { if (drags(event)) event.preventDefault(); });
addEventListener("drop", event => {
  if (!drags(event)) return;
  event.preventDefault();
  depth = 0;
  document.body.classList.remove("drop");
  const file = first(event.dataTransfer.files);
  if (file) search({ file }); else say("That is no picture, sound or video.", true);
});
addEventListener("paste", event => { const file = first(event.clipboardData?.files); if (file) { event.preventDefault(); search({ file }); } });
