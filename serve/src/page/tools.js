"use strict";
const NAMES = { text: "Texts", image: "Pictures", audio: "Sounds", video: "Videos" };
const at = id => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined && value !== null) node.setAttribute(name, value);
  node.append(...children.filter(c => c !== undefined && c !== null));
  return node;
};
const icon = path => `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
const plural = (count, name) => count.toLocaleString() + " " + (count === 1 ? name : name + "s");
const clock = s => { const t = Math.max(0, Math.floor(s)), h = Math.floor(t / 3600), m = Math.floor(t / 60) % 60, two = n => String(n).padStart(2, "0"); return (h ? h + ":" + two(m) : m) + ":" + two(t % 60); };

const say = (text, wrong = false) => { at("said").textContent = text; at("said").className = wrong ? "wrong" : ""; };

// A server that asks for a key is given one once; it is kept in a cookie, since pictures and players send nothing else.
let asking = null;
function key(wrong) {
  asking ??= new Promise(done => {
    const box = at("key");
    at("unknown").textContent = wrong ? "That key is not known here." : "";
    box.onclose = () => {
      asking = null;
      const given = box.returnValue === "go" ? at("secret").value.trim() : "";
      at("secret").value = "";
      if (given) document.cookie = "unisono-key=" + encodeURIComponent(given) + "; SameSite=Strict; path=/; max-age=31536000" + (location.protocol === "https:" ? "; Secure" : "");
      done(given);
    };
    box.returnValue = "";
    box.showModal();
  });
  return asking;
}

async function call(path, options = {}, tried = false) {
  const response = await fetch(path, options);
  if (response.status === 401 && await key(tried)) return call(path, options, true);
  if (!response.ok) {
    const told = await response.json().catch(() => null);
    throw new Error(told?.error?.message ?? "The server answered " + response.status + ".");
  }
  return response.json();
}
const post = (path, body) => call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
