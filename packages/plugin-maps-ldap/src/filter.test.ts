import { BerWriter } from "ldapts";
import { describe, expect, test } from "vitest";
import { parseFilter } from "./filter.ts";
import { quoteForFilter, quoteForName } from "./quoting.ts";

function encode(text: string): string {
  const writer = new BerWriter();
  parseFilter(text).write(writer);
  return writer.buffer.toString("hex");
}

const hex = (text: string) => Buffer.from(text).toString("hex");

/** Octets by RFC 4511 §4.5.1, written by hand. */
const written: Readonly<Record<string, string>> = {
  "(cn=ab)": `a308 0402${hex("cn")} 0402${hex("ab")}`,
  "cn=ab": `a308 0402${hex("cn")} 0402${hex("ab")}`,
  "(cn=*)": `8702${hex("cn")}`,
  "(cn=)": `a306 0402${hex("cn")} 0400`,
  "(cn=\\c3\\a4)": `a308 0402${hex("cn")} 0402c3a4`,
  "(cn=ä)": `a308 0402${hex("cn")} 0402c3a4`,
  "(cn=\\2a\\00)": `a308 0402${hex("cn")} 04022a00`,
  "(cn=\\*\\))": `a308 0402${hex("cn")} 0402${hex("*)")}`,
  "(cn=a*)": `a409 0402${hex("cn")} 3003 8001${hex("a")}`,
  "(cn=a*b*c)": `a40f 0402${hex("cn")} 3009 8001${hex("a")} 8101${hex("b")} 8201${hex("c")}`,
  "(cn>=a)": `a507 0402${hex("cn")} 0401${hex("a")}`,
  "(cn<=a)": `a607 0402${hex("cn")} 0401${hex("a")}`,
  "(cn~=a)": `a807 0402${hex("cn")} 0401${hex("a")}`,
  "(2.5.4.3;lang-de=a)": `a314 040f${hex("2.5.4.3;lang-de")} 0401${hex("a")}`,
  "(&)": "a000",
  "(!(cn=*))": `a204 8702${hex("cn")}`,
  " (| (cn=*) (sn=*) )": `a108 8702${hex("cn")} 8702${hex("sn")}`,
  "(cn:dn:2.5.13.5:=a)": `a914 8108${hex("2.5.13.5")} 8202${hex("cn")} 8301${hex("a")} 8401ff`,
  "(:caseExactMatch:=a)": `a916 810e${hex("caseExactMatch")} 8301${hex("a")} 840100`,
};

describe("a filter in octets", () => {
  for (const [text, octets] of Object.entries(written)) {
    test(text, () => expect(encode(text)).toBe(octets.replaceAll(" ", "")));
  }
});

const wrong = [
  "", " ", "(", "()", "(cn)", "(=a)", "(cn=a", "cn=a)", "(cn=a))", "(cn=a)(cn=b)", "((cn=a))", "(&(cn=a)", "(!(cn=a)(cn=b))",
  "(!)", "(cn=a(b)", "(cn=\\zz)", "(cn=\\2)", "(cn=a\\", "(c_n=a)", "(c n=a)", "(cn =a)", "(:=a)", "(:dn:=a)", "(cn:x:y:=a)",
  "(|cn=a)", "(;x=a)", `${"(!".repeat(200)}(cn=a)${")".repeat(200)}`,
]; // prettier-ignore

describe("no filter", () => {
  for (const text of wrong)
    test(JSON.stringify(text.slice(0, 30)), () => expect(() => encode(text)).toThrow(SyntaxError));
});

test("whatever the key, it is one value of the filter", () => {
  for (const key of ["*", "*)(uid=*", ")(|(cn=*", "\\2a", "\\", "a\0b", "(((", "ä*😀", "a=b", "&|!"]) {
    const octets = Buffer.from(key);
    const value = `04${Buffer.from([octets.length]).toString("hex")}${octets.toString("hex")}`;
    expect(encode(`(cn=${quoteForFilter(key)})`).slice(4)).toBe(`0402${hex("cn")}${value}`);
  }
});

test("whatever the key, it is one value of the name", () => {
  expect(quoteForName(' a,b+c"d\\e<f>g;h#i=\0')).toBe("\\20a\\2Cb\\2Bc\\22d\\5Ce\\3Cf\\3Eg\\3Bh\\23i=\\00");
});
