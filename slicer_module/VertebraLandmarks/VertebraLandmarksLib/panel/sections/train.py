"""Section Train: training of the server's model on the submitted labels."""

from ...client.responses import DONE, FAILED_TRAINING, INTERRUPTED, RUNNING, STARTING, STOPPED

STATES = {
    STARTING: "starting",
    RUNNING: "running",
    DONE: "done; the new model is in use",
    STOPPED: "stopped; the model is unchanged",
    INTERRUPTED: "interrupted; the model is unchanged",
    FAILED_TRAINING: "failed",
}


class TrainSection:
    """Starts, stops and shows a training.

    Args:
        ui: the widgets.
        controller: the workflow.
    """

    def __init__(self, ui, controller):
        self._ui, self._controller = ui, controller
        ui.trainButton.connect("clicked(bool)", lambda: self._start())
        ui.stopTrainButton.connect("clicked(bool)", lambda: controller.stop_training())

    def refresh(self, state):
        """Show the progress."""
        ui, training = self._ui, state.training
        may = state.is_connected and state.info is not None and state.info.may_train
        is_ongoing = training is not None and training.is_ongoing
        ui.trainButton.setEnabled(may and not is_ongoing and not state.is_busy("train"))
        ui.stopTrainButton.setEnabled(may and is_ongoing)
        ui.epochsSpinBox.setEnabled(not is_ongoing)
        ui.trainProgressBar.value = 0 if training is None else round(training.percent)
        ui.trainStateLabel.text = format_state(training, state)
        ui.trainErrorLabel.text = "-" if training is None else format_errors(training)
        ui.trainModelLabel.text = "-" if training is None else format_versions(training)

    def _start(self):
        epochs = self._ui.epochsSpinBox.value
        self._controller.start_training({"max_epochs": epochs} if epochs else {})


def format_state(training, state):
    """State, epoch and stage."""
    if training is None:
        if state.info is not None and not state.info.may_train:
            return "Your token does not allow training."
        return "no training yet"
    text = STATES[training.state]
    if training.state == DONE and not training.version_after:
        text = "done; the model is unchanged"
    if training.is_ongoing and training.total_epochs:
        text += f", epoch {training.epoch} of {training.total_epochs}"
    if training.is_ongoing and training.stage:
        text += f" ({training.stage})"
    return f"{text}: {training.message}" if training.message else text


def format_errors(training):
    """Loss, and corner errors before and after."""
    parts = []
    if training.loss is not None:
        parts.append(f"loss {training.loss:.3f}")
    if training.validation is not None:
        before = "" if training.before is None else f"{training.before:.1f} → "
        parts.append(f"corners {before}{training.validation:.1f} px off on held-out images")
    return ", ".join(parts) or "-"


def format_versions(training):
    """Model versions before and after."""
    if training.version_after:
        return f"version {training.version_before} → {training.version_after}"
    return f"version {training.version_before}" if training.version_before else "-"
