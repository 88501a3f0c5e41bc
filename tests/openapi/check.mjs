// Lints an OpenAPI description with Redocly, and validates the examples of a document against it. Reads from standard
// input `{"description": …, "examples": [{"schema": POINTER, "value": …}]}`. Prints "done" if nothing is wrong.
import { createConfig, lintFromString } from "@redocly/openapi-core";
import Ajv from "@redocly/ajv/dist/2020.js";
import addFormats from "ajv-formats";

let input = "";
for await (const chunk of process.stdin) input += chunk;
const { description, examples } = JSON.parse(input);
const faults = [];

const source = JSON.stringify(description);
const config = await createConfig({ extends: ["recommended-strict"] });
for (const problem of await lintFromString({ source, absoluteRef: "openapi.json", config })) {
  faults.push(`${problem.ruleId}: ${problem.message} (${problem.location.map((at) => at.pointer).join(", ")})`);
}

// Without `strict`, the keywords of OpenAPI and the format "username" are permitted.
const ajv = new Ajv.default({ strict: false, allErrors: true, logger: false });
addFormats.default(ajv);
ajv.addSchema(description, "openapi.json");
for (const { schema, value } of examples) {
  const validate = ajv.getSchema(`openapi.json#${schema}`);
  if (!validate) {
    faults.push(`the description has no ${schema}`);
  } else if (!validate(value)) {
    faults.push(`${schema}: ${JSON.stringify(value)}: ${ajv.errorsText(validate.errors)}`);
  }
}

if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
console.log("done");
