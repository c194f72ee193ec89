"""The guard: who comes in, by which name, with what, and what leaves."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from house_of_studio import Served, serve
from playwright.sync_api import Page

from lskd.errors import UserError
from lskd.human.store import Store
from lskd.run import Run
from lskd.studio import desk
from lskd.studio.safety import Safety, check, is_csrf, new_csrf

TOKEN = "a-secret-of-the-owner"
FIRST = "/api/explore/images?size=1"
Open = Callable[[Safety], AbstractContextManager[Served]]


@pytest.fixture(scope="module")
def guarded(studio_for: Open) -> Iterator[Served]:
    """Give a studio whose owner shows a token."""
    with studio_for(Safety(host="192.0.2.1", token=TOKEN)) as served:
        yield served


def test_another_name_for_this_machine_is_refused(studio: Served) -> None:
    with studio.client(signed=False) as client:
        for name in ("evil.example", "127.0.0.1.evil.example", "evil.example:8600", "", "a@b:c:d"):
            assert client.get("/explore", headers={"Host": name}).status_code == 421, name
        for name in ("localhost:1", "127.0.0.1", "[::1]:8600"):
            assert client.get("/explore", headers={"Host": name}).status_code == 200, name


def test_every_answer_has_a_strict_policy(studio: Served) -> None:
    with studio.client(signed=False) as client:
        image = client.get(FIRST).json()["rows"][0]["id"]
        paths = ("/explore", "/static/boxes.js", "/nowhere", f"/images/{image}", FIRST, "/ask")
        for path in paths:
            answer = client.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, path
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"


def test_no_page_has_inline_script_or_style(studio: Served) -> None:
    with studio.client(signed=False) as client:
        for path in ("/explore", "/annotate", "/compare", "/ask", "/nowhere", "/a/x"):
            text = client.get(path, headers={"Accept": "text/html"}).text
            assert "<html" in text, path
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=\")", text), (
                path
            )
            assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text), path


def test_a_name_cannot_be_sent_before_the_page_is_ready(studio: Served) -> None:
    # A browser whose script has not begun would send the form to the page itself.
    with studio.client() as client:
        pages = [
            client.get(path, headers={"Accept": "text/html"}).text
            for path in ("/annotate", "/compare")
        ]
    forms = re.findall(r"<form[^>]*invite.*?</form>", "".join(pages), re.DOTALL)
    assert forms and all('<button class="strong" disabled>' in form for form in forms)


def test_a_change_needs_the_token_of_forms(studio: Served) -> None:
    with studio.client(signed=False) as client:
        refused = client.post("/api/ask/upload", content=b"x")
        assert refused.status_code == 403 and "csrf" in refused.json()["error"]
        token = client.get("/api/csrf").json()["csrf"]
        assert client.cookies["lskd_csrf"] == token
        for wrong in ("", token[:-1], "a.b", new_csrf(Safety())):
            answer = client.post("/api/ask/upload", content=b"x", headers={"X-Lskd-Csrf": wrong})
            assert answer.status_code == 403, wrong
        right = {"X-Lskd-Csrf": token}
        assert client.post("/api/ask/upload", content=b"x", headers=right).status_code == 400
        foreign = right | {"Origin": "http://evil.example"}
        assert client.post("/api/ask/upload", content=b"x", headers=foreign).status_code == 403
        own = right | {"Origin": studio.url}
        assert client.post("/api/ask/upload", content=b"x", headers=own).status_code == 400


def test_a_token_of_forms_holds_for_one_studio_only() -> None:
    one, other = Safety(), Safety()
    assert is_csrf(one, new_csrf(one))
    assert not is_csrf(other, new_csrf(one))
    assert not is_csrf(one, "") and not is_csrf(one, ".") and not is_csrf(one, "ü.ü")


def test_without_the_token_nothing_is_shown(guarded: Served) -> None:
    with guarded.client(signed=False) as client:
        for path in ("/", "/explore", FIRST, "/api/explore/summary", "/ask", "/nowhere"):
            assert client.get(path).status_code == 403, path
        for path in ("/annotate", "/compare", "/images/0123456789abcdef", "/api/annotate/x"):
            assert client.get(path).status_code == 401, path
        assert client.get("/static/studio.css").status_code == 200
        assert client.get("/enter/a-secret-of-somebody").status_code == 403
        client.cookies.set("lskd_owner", TOKEN)  # the cookie is a sign of the token, not itself
        assert client.get(FIRST).status_code == 403


def test_the_token_lets_its_owner_in(guarded: Served) -> None:
    with guarded.client(signed=False) as client:
        entered = client.get(f"/enter/{TOKEN}")
        assert entered.status_code == 200
        cookie = entered.headers.get_list("set-cookie")[0].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get(FIRST).status_code == 200
        assert client.get("/explore").status_code == 200


def test_an_annotator_reaches_the_pages_of_judging_and_no_other(
    guarded: Served, store: Store
) -> None:
    token = store.enrol("ann of the guard").token
    assert len(token) >= 32
    with guarded.client(signed=False) as client:
        entered = client.get(f"/a/{token}?campaign=one")
        assert entered.status_code == 200 and "/annotate?campaign=one" in entered.text
        assert "httponly" in entered.headers.get_list("set-cookie")[0].lower()
        assert client.get("/annotate").status_code == 200
        image = guarded.desk.photographs
        name = next(iter(_images(guarded)))
        assert image.find(name) is not None
        assert client.get(f"/images/{name}").status_code == 200
        for path in ("/explore", FIRST, "/ask", "/api/explore/summary", f"/explore/{name}"):
            assert client.get(path).status_code == 403, path


def _images(served: Served) -> list[str]:
    with served.client(signed=False) as client:
        client.get(f"/enter/{TOKEN}")
        return [row["id"] for row in client.get("/api/explore/images").json()["rows"]]


def test_links_cannot_be_guessed_or_changed(guarded: Served, store: Store) -> None:
    tokens = {store.enrol(f"guest {number}").token for number in range(20)}
    assert len(tokens) == 20
    with guarded.client(signed=False) as client:
        for token in list(tokens)[:3]:
            wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
            assert client.get(f"/a/{wrong}").status_code == 403
        for token in ("1", "x" * 4000, "%00", "..%2f..", "' OR 1=1 --"):
            assert client.get(f"/a/{token}").status_code in (403, 404, 422)


def test_a_database_that_is_down_is_told_and_no_defect(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "there"
    kept = Store(f"sqlite:///{home / 'people.sqlite'}")
    with serve(desk.lay(run, kept)) as served, served.client() as client:
        client.get(f"/a/{kept.enrol('ann').token}")
        assert client.get("/annotate").status_code == 200
        kept.close()  # the next request opens the file anew
        home.rename(tmp_path / "away")
        for path in ("/annotate", "/api/annotate/judge/queue"):
            answer = client.get(path)
            assert answer.status_code == 503 and "cannot be used" in answer.json()["error"], path
        (tmp_path / "away").rename(home)
        assert client.get("/annotate").status_code == 200
    assert not caplog.records
    kept.close()


def test_a_studio_that_others_reach_demands_a_token() -> None:
    check(Safety())
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(UserError, match="--token"):
            check(Safety(host=host))
    for weak in ("short", "ü" * 20, "with/a/slash/in/it"):
        with pytest.raises(UserError, match="16 or more"):
            check(Safety(token=weak))


def test_such_a_desk_is_not_laid(run: Run, store: Store) -> None:
    with pytest.raises(UserError, match="--token"):
        desk.lay(run, store, (), Safety(host="0.0.0.0"))


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2f..%2fapp.py",
        "/static/%2e%2e/%2e%2e/safety.py",
        "/static//etc/passwd",
        "/images/..%2f..%2f..%2fetc%2fpasswd",
        "/images/%2fetc%2fpasswd",
        "/images/0123456789abcdef%00",
        "/explore/..%2f..%2fetc",
    ],
)
def test_no_path_leads_out_of_the_images_and_static_files(studio: Served, path: str) -> None:
    with studio.client(signed=False) as client:
        # As it is: the client itself would tidy up a path.
        request = client.build_request("GET", httpx.URL(studio.url))
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = client.send(request)
        assert answer.status_code in (404, 405, 422), path
        assert "root:" not in answer.text and "import " not in answer.text


def test_a_large_body_is_refused_however_it_comes(studio_for: Open) -> None:
    with studio_for(Safety(body=1000, upload=2000)) as served, served.client() as client:
        assert client.post("/api/nowhere", content=b"x" * 1001).status_code == 413
        assert client.post("/api/ask/upload", content=b"x" * 2001).status_code == 413

        def pieces() -> Iterator[bytes]:
            for _ in range(40):
                yield b"x" * 100

        assert client.post("/api/ask/upload", content=pieces()).status_code == 413
        # As no client would send it.
        port = httpx.URL(served.url).port or 0
        for length in ("-1", "1e3", "9" * 12, "9" * 40):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
                head = (
                    f"POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
                )
                raw.sendall(head.encode())
                assert raw.recv(100).split()[1] in (b"400", b"413"), length


def test_text_of_users_and_models_is_shown_and_never_run(studio: Served, tab: Page) -> None:
    tab.goto(f"{studio.url}/explore?show=triples&text=bold")
    tab.wait_for_selector(".card")
    assert "<b>bold</b>" in (tab.text_content(".card .question") or "")
    assert tab.locator(".card b").count() == 0
    tab.goto(f"{studio.url}/explore?show=rejects&text=%3Cimg%20src=x%3E")
    tab.wait_for_selector(".empty")
    assert tab.locator("img[src=x]").count() == 0
