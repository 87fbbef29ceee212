"""The collectives that combine the elements of all ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from ._arguments import integer
from ._calls import Calls, OperationName, Result, call_options, needs, same_type
from ._enums import Operation, choose
from ._memory import addresses, counts, memory_of


class Reducing(Calls[Result]):
    """All-reduce, reduce and reduce-scatter."""

    def all_reduce(
        self,
        input: Any,
        operation: OperationName = Operation.SUM,
        *,
        output: Any = None,
        factor: Optional[float] = None,
        timeout: Optional[float] = None,
        algorithm: Optional[str] = None,
    ) -> Result:
        """Combines the input of all ranks element-wise and leaves the result in every rank's output.

        - output: as many elements as `input`; None for in place.
        - factor: what this rank's input is multiplied by before the sum; floating point, and the operation is the sum.
        """
        source, target = self._pair(input, output)
        needs(target, source.count, "output", "as many as input has")
        head = (source.address, target.address, source.count, source.type)
        return self._combining("tutti_all_reduce", head, operation, factor, (source, target), timeout, algorithm)

    def _combining(
        self,
        function: str,
        head: tuple,
        operation: OperationName,
        factor: Optional[float],
        memory: object,
        timeout: Optional[float],
        algorithm: Optional[str],
    ) -> Result:
        chosen = choose(Operation, operation, "operation")
        if factor is None:
            return self._run(function, (*head, chosen), memory, call_options(timeout, algorithm))
        if chosen is not Operation.SUM:
            raise ValueError(f"operation is {chosen.name.lower()}, and a factor goes with the sum only")
        return self._run(f"{function}_scaled", (*head, float(factor)), memory, call_options(timeout, algorithm))

    def reduce(
        self,
        input: Any,
        operation: OperationName = Operation.SUM,
        *,
        root: int = 0,
        output: Any = None,
        timeout: Optional[float] = None,
        algorithm: Optional[str] = None,
    ) -> Result:
        """Combines the input of all ranks element-wise and leaves the result in the root's output.

        - output: as many elements as `input`; None for in place on the root. Ignored elsewhere.
        """
        root = integer(root, "root")
        chosen = choose(Operation, operation, "operation")
        if self.rank == root:
            source, target = self._pair(input, output)
            needs(target, source.count, "output", "as many as input has")
        else:
            source = target = memory_of(input, "input", False)
        address = target.address if self.rank == root else None
        arguments = (source.address, address, source.count, source.type, chosen, root)
        return self._run("tutti_reduce", arguments, (source, target), call_options(timeout, algorithm))

    def reduce_scatter(
        self,
        input: Any,
        output: Any,
        operation: OperationName = Operation.SUM,
        *,
        counts: Optional[Sequence[int]] = None,
        factor: Optional[float] = None,
        timeout: Optional[float] = None,
        algorithm: Optional[str] = None,
    ) -> Result:
        """Combines the input of all ranks element-wise and leaves block r of the result in the output of rank r.

        - input: a block for each rank, in rank order.
        - counts: the elements of each rank's block, the same on every rank; None for blocks of equal size.
        - factor: as of `all_reduce`; for blocks of equal size.
        """
        source, target = self._pair(input, output)
        if counts is None:
            needs(source, target.count * self.rank_count, "input", "a block as large as output for each rank")
            head = (source.address, target.address, target.count, source.type)
            return self._combining("tutti_reduce_scatter", head, operation, factor, (source, target), timeout, algorithm)
        if factor is not None:
            raise ValueError("a factor goes with blocks of equal size only: leave out counts")
        blocks = self._blocks(counts, source, target, "input", "output")
        arguments = (source.address, target.address, blocks, source.type, choose(Operation, operation, "operation"))
        return self._run("tutti_reduce_scatter_v", arguments, (source, target), call_options(timeout, algorithm))

    def reduce_scatter_list(
        self,
        inputs: Sequence[Any],
        output: Any,
        operation: OperationName = Operation.SUM,
        *,
        timeout: Optional[float] = None,
        algorithm: Optional[str] = None,
    ) -> Result:
        """Combines as `reduce_scatter`, with each block in an array of its own.

        - inputs: for each rank, the array that it gets the result of.
        """
        sources = self._list(inputs, "inputs", False)
        target = memory_of(output, "output", True)
        same_type(sources[0], target)
        needs(target, sources[self.rank].count, "output", f"as many as inputs[{self.rank}] has")
        chosen = choose(Operation, operation, "operation")
        arguments = (addresses(sources), target.address, counts(sources), target.type, chosen)
        return self._run("tutti_reduce_scatter_list", arguments, (sources, target), call_options(timeout, algorithm))
