from pathlib import Path

import numpy as np
import people_keypoints as people
import pytest
from PIL import Image

from models.perception.mediapipe.pose import MediapipePose
from models.pose.skeleton import BODY


@pytest.mark.weights
@pytest.mark.parametrize("name", people.PICTURES)
def test_the_recorded_keypoints_are_those_of_the_backend(
    name: str, published: MediapipePose, shared_media: Path
) -> None:
    (path,) = (shared_media / "reference").glob(f"{name}.*")
    keypoints, (height, width) = people.picture(name)
    picture = Image.open(path).convert("RGBA")
    opaque = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    opaque.alpha_composite(picture)
    frame = np.asarray(opaque.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))
    found = published.keypoints(frame[None])[0]
    np.testing.assert_allclose(found[BODY], keypoints[BODY], atol=1.0)
