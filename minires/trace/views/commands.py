"""What a stepper is told: commands by name, and the keys that stand for them."""

from __future__ import annotations

HELP = """\
n, next [COUNT]   the next step (also an empty line)
p, previous       the step before
block, -block     to the next block, to the one before
fork, -fork       to the next place where contributions meet, to the one before
turn              where forward ends and backward begins
into, out         open what is folded here; close it again
goto 12           to step 12; goto end
find TEXT         to the next step whose value has TEXT in its name
break CONDITION   norm<1e-3, share(shortcut)>0.9, nan, fork, at:layer2.0
break             list the breakpoints; `break here`: set or clear one here
clear [CONDITION] forget it, or all of them
c, -c             to the next breakpoint, to the one before
pixel 3,4         the output entry of a convolution to show: row, column;
                  with its filter and image: pixel 3,4,0,0
help, quit"""

KEYS = {
    "right": "next", ".": "next", " ": "next", "left": "previous", ",": "previous",
    "down": "block", "up": "-block", "n": "fork", "p": "-fork",
    "]": "c", "[": "-c", "b": "break here", "shift-right": "turn", "shift-left": "turn",
    "home": "goto 0", "end": "goto end", "enter": "into", "backspace": "out", "escape": "out",
    "?": "help", "h": "help", "q": "quit", "ctrl-d": "quit",
}  # fmt: skip

# Keys that ask for a line of text, and the command that it completes.
QUESTIONS = {"g": "goto ", "/": "find ", ":": "", "B": "break ", "x": "pixel "}

KEY_HELP = """\
Left Right or , .    step by step         g  go to a step
Up Down              block by block       /  search
n p                  next, previous fork  b  breakpoint at this module
[ ]                  between breakpoints  B  breakpoint: norm<1e-3, nan
Enter, Backspace     open, close          x  output entry to show
Home End             first, last step     :  any command by name
Shift+Left or Right  where forward ends   ?  help    q  quit"""
