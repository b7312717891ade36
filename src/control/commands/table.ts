// Plain tables: columns by blanks, no frames and no colours, so that they read well in a terminal and in
// a pipe.
import Table from "cli-table3";

const NO_LINES = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
} as const;

export type TableCell = string | number;

/** Lines of a table with a heading; columns that hold numbers alone stand to the right. */
export function formatTable(heading: readonly string[], rows: readonly (readonly TableCell[])[]): string[] {
  const colAligns = heading.map((_, column) =>
    rows.length > 0 && rows.every((row) => typeof row[column] === "number") ? "right" : "left",
  );
  const table = new Table({
    head: [...heading],
    chars: NO_LINES,
    colAligns: colAligns as ("left" | "right")[],
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
}
