/** xtext in commands; the form itself is a matter of addresses. */
export { decodeXtext, isXtext } from "../address/xtext.ts";
