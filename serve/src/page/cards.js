// A chance as a plain word: how few random pairs score as high.
const WORDS = [[1e-5, "excellent match"], [1e-4, "strong match"], [1e-2, "fair match"], [2, "weak match"]];
const rarity = chance => { const n = 1 / Math.max(chance, 1e-9), unit = 10 ** Math.max(0, Math.floor(Math.log10(n)) - 1); return (Math.round(n / unit) * unit).toLocaleString(); };
function worth(hit) {
  if (hit.score === undefined) return null;
  const cosine = "cosine similarity " + hit.score.toFixed(3);
  if (hit.chance === undefined) return make("span", { class: "score", title: cosine }, hit.score.toFixed(3));
  const [, word] = WORDS.find(([most]) => hit.chance <= most);
  return make("span", { class: "score", title: `1 in ${rarity(hit.chance)} random pairs scores as high; ${cosine}` }, word);
}

// The parts of a picture that make it a hit, lit up; the rest is dimmed.
async function why(hit, caption) {
  const box = at("why"), show = at("parts"), query = "text" in asked ? { text: asked.text } : { row: asked.row };
  at("whose").textContent = caption;
  show.replaceChildren();
  at("reason").textContent = "Looking …";
  box.showModal();
  try {
    const told = await post("/v1/why", { query, row: hit.row });
    const most = Math.max(...told.worth, 1e-9), n = told.cells;
    const cells = told.worth.map((worth, i) => `<rect x="${i % n}" y="${Math.floor(i / n)}" width="1" height="1" opacity="${(0.68 * (1 - Math.sqrt(Math.max(0, worth) / most))).toFixed(3)}"/>`);
    show.append(make("img", { src: told.image, alt: "What the model sees of it" }));
    show.insertAdjacentHTML("beforeend", `<svg viewBox="0 0 ${n} ${n}" preserveAspectRatio="none" shape-rendering="crispEdges" aria-hidden="true">${cells.join("")}</svg>`);
    const best = told.worth.indexOf(Math.max(...told.worth)), places = [["top left", "top", "top right"], ["left", "middle", "right"], ["bottom left", "bottom", "bottom right"]];
    const part = v => Math.min(2, Math.floor(v * 3 / n));
    at("reason").textContent = `Most of it is in the ${places[part(Math.floor(best / n))][part(best % n)]}: without its brightest part the similarity falls from ${told.score.toFixed(3)} to ${(told.score - told.worth[best]).toFixed(3)}.`;
  } catch (e) { at("reason").textContent = e.message; }
}

// Votes, where the server keeps them: on searches with words.
let votes = false;
const THUMBS = [
  ["up", "M7 11v9H4v-9zM7 11l4-7c1.6 0 2.4 1 2 2.6L12.4 10H19a1.6 1.6 0 0 1 1.6 2l-1.5 6.4A2 2 0 0 1 17.2 20H7", "Right"],
  ["down", "M17 13V4h3v9zM17 13l-4 7c-1.6 0-2.4-1-2-2.600l.6-3.400H5a1.6 1.6 0 0 1-1.6-2l1.5-6.400A2 2 0 0 1 6.8 4H17", "Wrong"],
];
function thumbs(hit, rank) {
  if (!votes || rank === null || !("text" in asked)) return null;
  const query = asked.text, box = make("span", { class: "thumbs", role: "group", "aria-label": "Is this what you looked for?" });
  for (const [vote, sign, name] of THUMBS) {
    const button = make("button", { type: "button", class: "thumb", "aria-pressed": "false", title: name, "aria-label": `${name} for “${query}”` });
    button.innerHTML = icon(sign);
    button.onclick = async () => {
      const taken = button.getAttribute("aria-pressed") === "true";
      try {
        await post("/v1/votes", { query, row: hit.row, id: hit.id, vote: taken ? "none" : vote, score: hit.score, rank: rank + 1 });
        for (const other of box.children) other.setAttribute("aria-pressed", String(other === button && !taken));
        say(taken ? "The vote is taken back." : "Thank you: the vote is kept.");
      } catch (e) { say(e.message, true); }
    };
    box.append(button);
  }
  return box;
}

function player(hit, title) {
  const part = hit.seconds ? "#t=" + (hit.seconds[0] ?? 0) + (hit.seconds[1] ? "," + hit.seconds[1] : "") : "";
  if (hit.missing) return make("span", { class: "gone" }, "The file is not there any more.");
  if (hit.modality === "text" || !hit.file) return make("blockquote", {}, hit.text ?? hit.id);
  if (hit.modality === "audio") return make("audio", { controls: "", preload: "none", src: hit.file + part, "aria-label": title });
  const image = make("img", { loading: "lazy", decoding: "async", alt: hit.text ?? title, src: "/v1/items/" + hit.row + "/thumbnail" });
  const video = () => make("video", { controls: "", preload: "metadata", playsinline: "", src: hit.file + part, "aria-label": title });
  if (hit.modality === "video") return video();
  // A frame of a video has no thumbnail; the video at its moment has.
  image.onerror = () => image.replaceWith(hit.seconds ? video() : make("span", { class: "gone" }, "No picture can be shown."));
  return make("a", { class: "open", href: hit.file, target: "_blank", rel: "noopener", "aria-label": "Open " + title }, image);
}

const titled = hit => hit.name ?? hit.label ?? hit.id;
const captioned = hit => hit.modality !== "text" && hit.text ? hit.text : titled(hit);

// An item of the index; `rank` is its place among the results, null of one that is none.
function card(hit, rank) {
  const title = titled(hit), caption = captioned(hit), text = hit.modality === "text";
  const when = hit.seconds ? clock(hit.seconds[0] ?? 0) + (hit.seconds[1] ? " – " + clock(hit.seconds[1]) : "") : "";
  const more = make("button", { type: "button", class: "more", "aria-label": "More like " + caption }, "More like this");
  const explains = hit.modality === "image" && !hit.seconds && !hit.missing && rank !== null && asked && !asked.file;
  const reason = explains ? make("button", { type: "button", class: "more why", "aria-label": "Why " + caption }, "Why") : null;
  if (reason) reason.onclick = () => why(hit, caption);
  more.onclick = () => search({ row: hit.row, name: caption, hit });
  const about = [caption === title ? "" : title, when].filter(Boolean).join(" · ");
  const node = make(rank === null ? "div" : "li", { class: "hit " + hit.modality, "aria-label": (rank === null ? "" : rank + 1 + ": ") + (text ? hit.text ?? caption : caption) },
    make("div", { class: "show" }, player(hit, title)),
    make("div", { class: "about" }, make("b", { title: caption }, caption), about ? make("small", { title: about }, about) : null,
      make("div", { class: "foot" }, worth(hit), thumbs(hit, rank), make("span", { class: "acts" }, reason, more))));
  if (rank !== null) node.tabIndex = rank ? -1 : 0;
  return node;
}
