"""Functions in LLVM's language that work on a matrix product, as they are being written."""

from typing import Any

from llvmlite import ir

I32, I64, DOUBLE = ir.IntType(32), ir.IntType(64), ir.DoubleType()
ONE, ZERO = I64(1), I64(0)

# A product that is being taken: words of 8 bytes. The last who holds the first of them gives back
# the memory of all that follow.
FIELDS = (
    "next", "done", "parts", "following",  # the product to go on with, or zero
    "holders", "takers",
    "rows", "columns", "inner",  # of the product, and what is summed over
    "a", "b", "product", "step",  # bytes from one row of the product to the next in `a`
    "width_a", "width_b", "turn_a", "turn_b",  # of a row in memory; the letters N and T
    "values", "observed", "count", "squares",  # of a loss; zero where there is none
)  # fmt: skip
PLACE = {name: 8 * k for k, name in enumerate(FIELDS)}


class Code:
    """One function as it is being written; addresses are integers."""

    def __init__(self, module: ir.Module, name: str, n_arguments: int = 1):
        self.function = ir.Function(module, ir.FunctionType(I64, [I64] * n_arguments), name)
        self.write = ir.IRBuilder(self.function.append_basic_block())

    def at(self, address, offset: int = 0, kind: Any = I64):
        return self.write.inttoptr(self.write.add(address, I64(offset)), kind.as_pointer())

    def word(self, address, offset: int = 0):
        return self.write.load(self.at(address, offset))

    def number(self, address, offset: int = 0):
        return self.write.load(self.at(address, offset, I32))

    def field(self, job, name: str):
        return self.word(job, PLACE[name])

    def count(self, how: str, job, name: str):
        """Add to or subtract from a field, whoever else does so; the value before."""
        return self.write.atomic_rmw(how, self.at(job, PLACE[name]), ONE, "seq_cst")

    def call(self, address: int, result, *arguments):
        """A function of the process."""
        kind = ir.FunctionType(result, [each.type for each in arguments])
        return self.write.call(self.write.inttoptr(I64(address), kind.as_pointer()), arguments)

    def variable(self, value):
        """A place on the stack; to be made outside of loops."""
        place = self.write.alloca(value.type)
        self.write.store(value, place)
        return place

    def loop(self, name: str):
        block = self.function.append_basic_block(name)
        self.write.branch(block)
        self.write.position_at_end(block)
        return block

    def go_on_if(self, condition):
        """Go on with a loop; the block behind it, for when the condition fails."""
        more, over = (self.function.append_basic_block(name) for name in ("more", "over"))
        self.write.cbranch(condition, more, over)
        self.write.position_at_end(more)
        return over

    def end(self):
        self.write.ret(ZERO)
