/** Header and body checks by table, as header_checks(5). */
export {};
