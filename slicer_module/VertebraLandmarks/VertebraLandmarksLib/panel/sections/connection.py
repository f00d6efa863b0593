"""The section Connection: the server, who one is there, and what it has."""

from ...workflow.state import ConnectionState

STATES = {
    ConnectionState.DISCONNECTED: ("Not connected", "gray"),
    ConnectionState.CONNECTING: ("Connecting …", "#a66a00"),
    ConnectionState.CONNECTED: ("Connected", "#1a7f37"),
    ConnectionState.LOST: ("The connection is lost; your work is kept on this computer", "#a66a00"),
    ConnectionState.FAILED: ("Cannot connect", "#b3261e"),
}


class ConnectionSection:
    """Address, token and name, and how the server answers.

    Args:
        ui: the widgets.
        controller: connects.
        settings: what is remembered.
    """

    def __init__(self, ui, controller, settings):
        self._ui, self._controller, self._settings = ui, controller, settings
        ui.serverLineEdit.text = settings["server"]
        ui.tokenRememberCheckBox.checked = settings["rememberToken"]
        ui.tokenLineEdit.text = settings["token"] if settings["rememberToken"] else ""
        self._keep_token()
        ui.userLineEdit.text = settings["user"]
        controller.person = settings["user"].strip()
        ui.userLineEdit.connect("editingFinished()", self._name)
        for field in (ui.serverLineEdit, ui.tokenLineEdit):
            field.connect("returnPressed()", self._connect)
        ui.tokenRememberCheckBox.connect("toggled(bool)", lambda: self._keep_token())
        ui.connectButton.connect("clicked(bool)", self._toggle)

    def refresh(self, state):
        """Show how things are."""
        ui = self._ui
        words, colour = STATES[state.connection]
        if state.connection is ConnectionState.CONNECTED and state.info is not None:
            words = f"Connected to {state.info.app} {state.info.version} as {state.info.user}"
        ui.stateLabel.text = f"● {words}"
        ui.stateLabel.styleSheet = f"color: {colour};"
        is_open = is_begun(state)
        ui.connectButton.text = "Disconnect" if is_open else "Connect"
        for field in (ui.serverLineEdit, ui.tokenLineEdit):
            field.setEnabled(not is_open)
        ui.modelLabel.text = "-" if state.info is None else format_model(state.info)
        ui.countsLabel.text = "-" if state.info is None else format_counts(state.info)

    def _name(self):
        self._settings["user"] = self._controller.person = self._ui.userLineEdit.text.strip()

    def _toggle(self):
        if is_begun(self._controller.state):
            self._controller.disconnect()
        else:
            self._connect()

    def _connect(self):
        self._name()
        self._settings["server"] = self._ui.serverLineEdit.text.strip()
        self._keep_token()
        self._controller.connect(self._settings["server"], self._ui.tokenLineEdit.text.strip())

    def _keep_token(self):
        """Store the token if that is wished, else see that none is stored."""
        is_saved = self._ui.tokenRememberCheckBox.checked
        self._settings["rememberToken"] = is_saved
        self._settings["token"] = self._ui.tokenLineEdit.text.strip() if is_saved else ""


def is_begun(state):
    """Whether there is a connection, or will be."""
    return state.is_connected or state.connection is ConnectionState.CONNECTING


def format_model(info):
    """Name and version of the model."""
    if not info.model:
        return "none: place the points by hand"
    return f"{info.model}, version {info.model_version}" if info.model_version else info.model


def format_counts(info):
    """How many images there are, and how many are still to be labelled."""
    return f"{info.images} in all, {info.labelled} labelled, {info.left} left"
