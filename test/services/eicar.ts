// The test file that every virus scanner takes for a virus, and none for a real one. In two halves, so that no scanner
// takes this file for it.
export const eicar = [String.raw`X5O!P%@AP[4\PZX54(P^)7CC)7}`, "$EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!$H+H*"].join(
  "",
);
