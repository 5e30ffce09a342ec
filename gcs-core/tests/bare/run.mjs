// Runs the golden vectors in the module named: node run.mjs <module.wasm> [<file to damage>]
//
// With a file to damage, the last bit of it is another one when the module reads it, and the run
// must fail: a test of the test.

import { readFileSync } from "node:fs";

const [module, damaged] = process.argv.slice(2);
const folder = new URL("../vectors/", import.meta.url);

let memory;
const bytesAt = (at, length) => new Uint8Array(memory.buffer, at, length);
const textAt = (at, length) => new TextDecoder().decode(bytesAt(at, length));
const file = (name) => {
  const bytes = readFileSync(new URL(name, folder));
  if (name === damaged) bytes[bytes.length - 1] ^= 1;
  return bytes;
};
const env = {
  file_length: (name, length) => file(textAt(name, length)).length,
  file_read: (name, length, into) => {
    const bytes = file(textAt(name, length));
    bytesAt(into, bytes.length).set(bytes);
  },
  fail: (text, length) => {
    console.error(textAt(text, length));
    process.exit(1);
  },
};

const { instance } = await WebAssembly.instantiate(readFileSync(module), { env });
memory = instance.exports.memory;
let kinds = 0;
let cases = 0;
for (let count; (count = instance.exports.run(kinds)) !== 0; kinds += 1) cases += count;
console.log(`${cases} golden vectors of ${kinds} kinds hold in wasm32`);
