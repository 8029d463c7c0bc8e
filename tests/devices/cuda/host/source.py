"""A kernel's source as the host compiles it: pointers and shared arrays become checked ones."""

from __future__ import annotations

import re

from minires.devices.cuda.kernel import Kernel, Parameter

_TYPES = ["unsigned char", "long long", "unsigned", "T", "A", "float", "double", "int", "bool"]
_STRUCTURE = re.compile(r"\bstruct\s+(\w+)\s*\{([^}]*)\}")
_SHARED = re.compile(r"__shared__\s+([\w ]+?)\s+(\w+\s*(?:[\[,][^;]*)?);")


def host_source(kernel: Kernel, T: object) -> str:
    """Return the text to compile for the host: the kernel's, and `launch` that calls it."""
    return "\n".join(['#include "host.hpp"', _checked(kernel, T), _launch(kernel, T)])


def _checked(kernel: Kernel, T: object) -> str:
    """Replace pointers by `Pointer`, in structures by `Address`, and shared arrays by `Shared`."""
    head, body, _ = kernel.code(T).partition(kernel.source)
    # The compiler's messages, and those about barriers, count lines from the source's first.
    text = f'{head}#line 1 "{kernel.name}.cu"\n{body}'
    structures = _STRUCTURE.findall(text)
    names = "|".join([*_TYPES, *[name for name, _ in structures]])
    pointer = re.compile(rf"(?:\b(const)\s+)?\b({names})\s*\*(\s*const\b)?(\s*__restrict__)?")

    def become(wrapper: str, within: str) -> str:
        return pointer.sub(lambda m: f"{wrapper}<{(m[1] or '') + ' ' + m[2]}> ", within)

    text = _STRUCTURE.sub(lambda m: f"struct {m[1]} {{{become('Address', m[2])}}}", text)
    return _SHARED.sub(_shared, become("Pointer", text))


def _shared(found: re.Match[str]) -> str:
    kind, names = found.groups()
    declared = []
    for name in names.split(","):
        name, *sizes = re.findall(r"\w[^\[\]]*", name)
        if sizes:
            declared.append(f'static Shared<{kind}, {", ".join(sizes)}> {name}("{name}");')
        else:  # a scalar is the one element of an array
            declared.append(
                f'static Shared<{kind}, 1> {name}_s("{name}"); auto {name} = {name}_s[0];'
            )
    return " ".join(declared)


def _launch(kernel: Kernel, T: object) -> str:
    """Return C++ that takes the arguments apart and runs the grid."""
    arguments = ", ".join([_argument(i, p) for i, p in enumerate(kernel.parameters)])
    layouts = [
        f"static_assert(sizeof({name}) == {dtype.itemsize});"
        + "".join(
            f"static_assert(offsetof({name}, {field}) == {offset});"
            for field, (_, offset, *_) in (dtype.fields or {}).items()
        )
        for name, dtype in kernel.types.items()
    ]
    barriers = "true" if "__syncthreads" in kernel.source else "false"
    return f"""
{" ".join(layouts)}
extern "C" char* fault_message() {{ return message; }}
extern "C" int launch(const unsigned* grid, unsigned block, Argument* given, int count) {{
    know(given, count);
    auto body = [&] {{ {kernel.name}({arguments}); }};
    int fault = run_grid({{grid[0], grid[1], grid[2]}}, block, {barriers}, body);
    forget();
    return fault;
}}
extern "C" void check_tables(bool checked) {{ tables_are_checked = checked; }}
"""


def _argument(index: int, parameter: Parameter) -> str:
    if parameter.is_array:
        return f"array<{'const ' if parameter.is_const else ''}{parameter.type}>({index})"
    return f"scalar<{parameter.type}>(given[{index}])"
