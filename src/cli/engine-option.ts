// `--engine`, the same for every command that forwards packets.
import { Option } from "commander";
import { ENGINES } from "../control/config/schema.ts";

export const engineOption = (): Option =>
  new Option("--engine <engine>", "what forwards; auto is compiled").choices(ENGINES).default("auto");
