"use strict";

// Loaded first by a Node that runs under qemu: it is not a program that the system could start, so children of it are started
// through the same words that started it.

process.execPath = process.env.BKN_EMULATED_NODE;
