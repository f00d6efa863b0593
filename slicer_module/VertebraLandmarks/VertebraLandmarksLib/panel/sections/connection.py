"""Section Connection: server, user, model and number of images."""

from ...workflow.state import ConnectionState

STATES = {
    ConnectionState.DISCONNECTED: ("Not connected", "gray"),
    ConnectionState.CONNECTING: ("Connecting …", "#a66a00"),
    ConnectionState.CONNECTED: ("Connected", "#1a7f37"),
    ConnectionState.LOST: ("Connection lost; your work is kept on this computer", "#a66a00"),
    ConnectionState.FAILED: ("Cannot connect", "#b3261e"),
}


class ConnectionSection:
    """Server address, token and user name, and the state of the connection.

    Args:
        ui: the widgets.
        controller: the workflow.
        settings: user settings.
    """

    def __init__(self, ui, controller, settings):
        self._ui, self._controller, self._settings = ui, controller, settings
        ui.serverLineEdit.text = settings["server"]
        ui.tokenRememberCheckBox.checked = settings["rememberToken"]
        ui.tokenLineEdit.text = settings["token"] if settings["rememberToken"] else ""
        self._save_token()
        ui.userLineEdit.text = settings["user"]
        controller.annotator = settings["user"].strip()
        ui.userLineEdit.connect("editingFinished()", self._save_name)
        for field in (ui.serverLineEdit, ui.tokenLineEdit):
            field.connect("returnPressed()", self._connect)
        ui.tokenRememberCheckBox.connect("toggled(bool)", lambda: self._save_token())
        ui.connectButton.connect("clicked(bool)", self._toggle)

    def refresh(self, state):
        """Show the state of connection and server."""
        ui = self._ui
        text, color = STATES[state.connection]
        if state.connection is ConnectionState.CONNECTED and state.info is not None:
            text = f"Connected to {state.info.app} {state.info.version} as {state.info.user}"
        ui.stateLabel.text = f"● {text}"
        ui.stateLabel.styleSheet = f"color: {color};"
        is_active = is_active_connection(state)
        ui.connectButton.text = "Disconnect" if is_active else "Connect"
        for field in (ui.serverLineEdit, ui.tokenLineEdit):
            field.setEnabled(not is_active)
        ui.modelLabel.text = "-" if state.info is None else format_model(state.info)
        ui.countsLabel.text = "-" if state.info is None else format_counts(state.info)

    def _save_name(self):
        self._settings["user"] = self._controller.annotator = self._ui.userLineEdit.text.strip()

    def _toggle(self):
        if is_active_connection(self._controller.state):
            self._controller.disconnect()
        else:
            self._connect()

    def _connect(self):
        self._save_name()
        self._settings["server"] = self._ui.serverLineEdit.text.strip()
        self._save_token()
        self._controller.connect(self._settings["server"], self._ui.tokenLineEdit.text.strip())

    def _save_token(self):
        """Store the token if the user wants it, else remove a stored one."""
        is_remembered = self._ui.tokenRememberCheckBox.checked
        self._settings["rememberToken"] = is_remembered
        self._settings["token"] = self._ui.tokenLineEdit.text.strip() if is_remembered else ""


def is_active_connection(state):
    """Whether the module is connected or connecting."""
    return state.is_connected or state.connection is ConnectionState.CONNECTING


def format_model(info):
    """Name and version of the model."""
    if not info.model:
        return "none: place the points by hand"
    return f"{info.model}, version {info.model_version}" if info.model_version else info.model


def format_counts(info):
    """Number of images, labelled and not; below it what goes to the PACS, where they come from one."""
    counts = f"{info.images} in all, {info.labelled} labelled, {info.unlabelled} left"
    return f"{counts}\n{info.pacs}" if info.pacs else counts
