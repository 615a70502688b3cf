"use strict";
// What doctor has found: sentences, each fine, worth knowing, or to be mended, and then how.

const LEVELS = { ok: "✔", note: "·", problem: "✘" };

class Findings {
  constructor() {
    this.all = [];
    this.section = "";
  }

  begin(section) {
    this.section = section;
  }

  add(level, what, advice) {
    this.all.push({ section: this.section, level, what, ...(advice !== undefined && { advice }) });
  }

  ok(what) {
    this.add("ok", what);
  }

  note(what, advice) {
    this.add("note", what, advice);
  }

  problem(what, advice) {
    this.add("problem", what, advice);
  }

  get problems() {
    return this.all.filter(({ level }) => level === "problem").length;
  }

  /** As text, section by section. */
  toString() {
    const lines = [];
    let section = null;
    for (const one of this.all) {
      if (one.section !== section) {
        section = one.section;
        lines.push(`${lines.length > 0 ? "\n" : ""}${section}`);
      }
      lines.push(`  ${LEVELS[one.level]} ${one.what}`);
      if (one.advice !== undefined) lines.push(`      → ${one.advice}`);
    }
    return lines.join("\n");
  }
}

module.exports = { Findings };
