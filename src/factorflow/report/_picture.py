"""Figures as pictures and as words."""

import io

from matplotlib.figure import Figure

_DOTS_PER_INCH = 144  # sharp on a dense screen, tens of kilobytes a figure


# Pictures by matplotlib and not by Plotly, whose script adds more than 4 MB to every page and
# shows nothing in a mail or where scripts are off.
def picture(figure: Figure) -> bytes:
    """A figure as a PNG file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format="png",
        dpi=_DOTS_PER_INCH,
        facecolor="white",
        bbox_inches="tight",
        metadata={"Software": None},
    )
    return buffer.getvalue()


def described(figure: Figure) -> str:
    """What a figure shows, in words, for those who do not see it."""
    parts = []
    for ax in figure.axes:
        kind = "image" if ax.images else "plot"
        name = f"{kind} {ax.get_title()!r}" if ax.get_title() else kind
        if ax.images:
            parts.append(name)
        elif ax.get_xlabel() and ax.get_ylabel():
            parts.append(f"{name} of {ax.get_ylabel()} against {ax.get_xlabel()}")
    text = "; ".join(parts) or "figure"
    return text[0].upper() + text[1:] + "."
