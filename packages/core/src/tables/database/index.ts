/** The language that all database tables share (db_common): parameters, templates, which keys are asked for, how values are joined. */
export { longestAnswer, readAnswerRules, type AnswerRules } from "./answer-rules.ts";
export { readTableParameters, type DatabaseParameters } from "./parameters.ts";
export { readSqlQuery } from "./legacy-query.ts";
export { Shared, type Taken } from "./shared.ts";
export { parseTemplate, type Template, type TemplateField } from "./template.ts";
