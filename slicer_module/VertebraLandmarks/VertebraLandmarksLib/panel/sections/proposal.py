"""The question whether to show what somebody has edited in a viewer of the PACS."""

from ...workflow.actions.proposal import format_offer


class ProposalSection:
    """Asks once for each proposal, in the notice bar, and takes the question back when the label is another one.

    Args:
        controller: the workflow.
        notice: where it asks.
    """

    def __init__(self, controller, notice):
        self._controller, self._notice = controller, notice
        self._asked = None

    def refresh(self, state):
        """Ask about the proposal for the open image, if it is another one than before."""
        proposal = None if state.current is None else state.current.proposal
        if proposal == self._asked:
            return
        self._asked = proposal
        if proposal is None:
            self._notice.withdraw()
        else:
            self._notice.ask(
                format_offer(proposal),
                "Show the change",
                lambda: self._controller.take_proposal(proposal),
                "Not now",
            )
