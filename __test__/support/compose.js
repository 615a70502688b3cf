"use strict";

// What compose makes of a file before it looks at it.

/** `${NAME:-default}` as compose reads it; a form that this does not know is an error, not a guess. */
function interpolate(value, env) {
  if (Array.isArray(value)) return value.map((item) => interpolate(item, env));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, interpolate(item, env)]));
  }
  if (typeof value !== "string") return value;
  return value.replaceAll(/\$(\$|\{(\w+):-([^{}$]*)\})?/g, (whole, inner, name, fallback) => {
    if (inner === "$") return "$";
    if (name === undefined) throw new Error(`compose would not take this: ${value}`);
    return env[name] || fallback;
  });
}

module.exports = { interpolate };
