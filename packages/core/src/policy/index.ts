/**
 * The policy language: vocabulary, lists per stage, the lattice, delayed refusals, the relay guard. May not hold a word's
 * logic: words are plugins'.
 */
export * from "./access-result.ts";
export * from "./access-table.ts";
export * from "./at-message.ts";
export * from "./compile.ts";
export * from "./effects.ts";
export * from "./lattice.ts";
export type { CompiledList, CompiledWord, Decision, Deferral, TableMatch, WordFacts } from "./list-run.ts";
export * from "./policy.ts";
export * from "./relay-guard.ts";
export * from "./restriction.ts";
export { SessionJudge, type PolicyQuestion, type Ruling } from "./session-judge.ts";
export type { MessageRuling } from "./message-ruling.ts";
export * from "./subject.ts";
export * from "./unlisted.ts";
export { knownWords } from "./known-words.ts";
export { createVocabulary, languageWords, type Vocabulary, type WordListing } from "./vocabulary.ts";
export { checkAnswer } from "./answer.ts";
