let recorder = null;
// A recording becomes WAV here: every server reads it.
function wav(parts, rate) {
  const count = parts.reduce((n, p) => n + p.length, 0), data = new DataView(new ArrayBuffer(44 + 2 * count));
  const text = (offset, s) => [...s].forEach((c, i) => data.setUint8(offset + i, c.charCodeAt(0)));
  text(0, "RIFF"); data.setUint32(4, 36 + 2 * count, true); text(8, "WAVEfmt "); data.setUint32(16, 16, true);
  data.setUint16(20, 1, true); data.setUint16(22, 1, true); data.setUint32(24, rate, true); data.setUint32(28, 2 * rate, true);
  data.setUint16(32, 2, true); data.setUint16(34, 16, true); text(36, "data"); data.setUint32(40, 2 * count, true);
  let offset = 44;
  for (const part of parts) for (const v of part) { data.setInt16(offset, Math.max(-1, Math.min(1, v)) * 32767, true); offset += 2; }
  return new File([data], "recording.wav", { type: "audio/wav" });
}
at("record").onclick = async () => {
  if (recorder) return recorder();
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const context = new AudioContext(), source = context.createMediaStreamSource(stream);
    const tap = context.createScriptProcessor(4096, 1, 1), parts = [];
    tap.onaudioprocess = event => parts.push(new Float32Array(event.inputBuffer.getChannelData(0)));
    source.connect(tap); tap.connect(context.destination);
    const stop = setTimeout(() => recorder?.(), 30000);
    at("record").setAttribute("aria-pressed", "true");
    say("Recording … press again to search with it.");
    recorder = () => {
      clearTimeout(stop);
      recorder = null;
      at("record").setAttribute("aria-pressed", "false");
      source.disconnect(); tap.disconnect(); stream.getTracks().forEach(track => track.stop());
      const file = wav(parts, context.sampleRate);
      context.close();
      search({ file });
    };
  } catch (e) { say("No sound can be recorded: " + e.message, true); }
};
