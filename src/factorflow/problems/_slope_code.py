"""From a product to the slope of the squared error, while its rows are in the cache."""

from llvmlite import ir

from factorflow.problems._job_code import DOUBLE, I32, I64, ONE, ZERO, Code

_LANES = 8
_VECTOR = ir.VectorType(DOUBLE, _LANES)
_NOTHING = _VECTOR([0.0] * _LANES)


def slope(module: ir.Module) -> ir.Function:
    """Put the slope in the place of some rows of a product, and note their squares.

        r = observed * (product - values),
        product <- observed * r / count,    squares = sum of r^2 over each row

    By rows, so that the sums do not depend on how the rows were shared out.
    """
    code = Code(module, "slope", 3)
    write, (job, first, after) = code.write, code.function.args
    inverse = write.fdiv(DOUBLE(1.0), write.load(code.at(code.field(job, "count"), kind=DOUBLE)))
    columns, squares = code.field(job, "columns"), code.field(job, "squares")
    row, column = code.variable(first), code.variable(ZERO)
    by_lane, alone = code.variable(_NOTHING), code.variable(DOUBLE(0.0))
    again = code.loop("rows")
    here = write.load(row)
    over = code.go_on_if(write.icmp_unsigned("<", here, after))
    for place, zero in ((column, ZERO), (by_lane, _NOTHING), (alone, DOUBLE(0.0))):
        write.store(zero, place)
    start = write.mul(I64(8), write.mul(here, columns))
    rows = [write.add(code.field(job, name), start) for name in ("product", "values", "observed")]
    _along(code, rows, column, columns, _LANES, _spread(write, inverse), by_lane)
    _along(code, rows, column, columns, 1, inverse, alone)
    lanes = write.load(by_lane)
    total = write.load(alone)
    for lane in range(_LANES):
        total = write.fadd(total, write.extract_element(lanes, I32(lane)))
    write.store(total, code.at(write.add(squares, write.mul(I64(8), here)), kind=DOUBLE))
    write.store(write.add(here, ONE), row)
    write.branch(again)
    write.position_at_end(over)
    code.end()
    return code.function


def _along(code: Code, rows, column, columns, step: int, inverse, total) -> None:
    """Go along a row for as long as there are so many columns at once."""
    write, kind = code.write, inverse.type
    again = code.loop("along")
    here = write.load(column)
    following = write.add(here, I64(step))
    over = code.go_on_if(write.icmp_unsigned("<=", following, columns))
    places = [code.at(write.add(row, write.mul(I64(8), here)), kind=kind) for row in rows]
    product, value, observed = (write.load(place, align=8) for place in places)
    residual = write.fmul(observed, write.fsub(product, value))
    write.store(write.fmul(write.fmul(observed, residual), inverse), places[0], align=8)
    write.store(write.fadd(write.load(total), write.fmul(residual, residual)), total)
    write.store(following, column)
    write.branch(again)
    write.position_at_end(over)


def _spread(write: ir.IRBuilder, number):
    """A number in every lane."""
    spread = _VECTOR(ir.Undefined)
    for lane in range(_LANES):
        spread = write.insert_element(spread, number, I32(lane))
    return spread
