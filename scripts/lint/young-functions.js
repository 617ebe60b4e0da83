// A rule for oxlint: no function is written where it is assigned to a property.
//
// V8 makes such a function in the old part of its heap, so that it can be a constant of the object's shape (`pretenure` of a function
// literal), where only a full collection finds out that it is dead. Until then it keeps alive all that it speaks of: a message, with
// all its octets. Given a name first, it is as young as what it speaks of.
const rule = {
  meta: { type: "problem" },
  create(context) {
    return {
      AssignmentExpression({ left, right }) {
        if (left.type !== "MemberExpression") return;
        const { type } = bare(right);
        if (type !== "ArrowFunctionExpression" && type !== "FunctionExpression") return;
        context.report({
          node: right,
          message:
            "Name this function with const before it is assigned: V8 would make it old, and keep alive all that it speaks of.",
        });
      },
    };
  },
};

/** Without the types written around it, which are gone when V8 reads it. */
function bare(node) {
  return /^TS(As|Satisfies|NonNull)/.test(node.type) ? bare(node.expression) : node;
}

export default { meta: { name: "postern" }, rules: { "young-functions": rule } };
