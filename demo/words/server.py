"""What the server itself says: to who is refused, and to whoever runs the app."""

NOT_OPEN = "There is nothing at this address."
WRONG_METHOD = "This address takes no such request."
TOO_OFTEN = "Too many requests came from your address: wait a minute and try again."
TOO_MUCH_UPLOADED = "Too much was uploaded from your address: try again in an hour."
TOO_DEEP = "The request's JSON is nested too deeply, or holds too many lists and objects."
TOO_SLOW = "The request took too long to arrive: send it again."
BUSY = "Too many wait at the moment: try again in a minute."
QUEUE_FULL = "The queue is full: try again in a minute."
DISK_FULL = "The server has no room for more at the moment: try again in an hour."
ENDING = "The app is being restarted: try again in a minute."
READ_ALREADY = "There is no such answer: it was fetched already, or was not fetched in time."
NOT_UPLOADED = "Files are not fetched from other addresses: upload the picture itself."
NO_FORM = "Send the picture as the body, or as the field `file` of a form."
FAULT = "The app met a fault of its own: try again, and tell whoever runs it if that does not help."

BAD_VARIABLE = "{name}: give {allowed}."
A_PATH = "a path that begins with a slash, such as /metrics"

CLASSIFY = "Classify a picture"
CLASSIFY_MORE = (
    "With the four models: for each, all ten probabilities. The picture is the request's body, or "
    "the field `file` of a form."
)
MODELS = "The models at hand"
CROP = "`centre` takes the largest centred square of the picture, `fit` the whole picture on white."
PICTURE = "The picture"
REFUSED = "Why nothing was classified, in one sentence."
API_TITLE = "Quartet's API"


def describe_least(least: int) -> str:
    return f"a whole number, {least} or more"


def describe_too_large(most_bytes: int) -> str:
    """That a request's body is above its limit."""
    size = f"{most_bytes // 2**20} MB" if most_bytes >= 2**20 else f"{most_bytes // 1024} kB"
    return f"The request is too large: at most {size} are taken here."


def describe_too_many_files(most: int) -> str:
    return f"At most {most} files are taken at once."
