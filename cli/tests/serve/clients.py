"""OpenAI's and the Model Context Protocol's own Python clients against a server: prints what they were told, as JSON.

    clients.py openai http://127.0.0.1:7700/v1 MODEL SPEECH_MODEL SOUND TEXT…
    clients.py mcp QUERY FILE COMMAND ARG…
"""

import asyncio
import json
import struct
import sys


def openai(base, model, speech, sound, *texts):
    from openai import BadRequestError, OpenAI

    client = OpenAI(base_url=base, api_key="none")
    # Their client asks for base64 by itself and decodes it.
    made = client.embeddings.create(model=model, input=list(texts))
    single = client.embeddings.create(model=model, input=texts[0], encoding_format="float")
    cut = client.embeddings.create(model=model, input=texts[0], dimensions=5)
    hexed = lambda rows: [struct.pack(f"<{len(r.embedding)}f", *r.embedding).hex() for r in rows.data]
    with open(sound, "rb") as file:
        said = client.audio.transcriptions.create(model=speech, file=file, language="de")
    with open(sound, "rb") as file:
        subtitles = client.audio.transcriptions.create(model=speech, file=file, language="de", response_format="vtt")
    with open(sound, "rb") as file:
        verbose = client.audio.transcriptions.create(
            model=speech, file=file, language="de", response_format="verbose_json", timestamp_granularities=["segment"]
        )
    try:
        client.embeddings.create(model=model, input=[[1, 2]])
        refused = None
    except BadRequestError as e:
        refused = e.body["message"]
    return {
        "embeddings": hexed(made), "single": hexed(single), "cut": hexed(cut), "tokens": made.usage.prompt_tokens,
        "models": [m.id for m in client.models.list()], "text": said.text, "vtt": str(subtitles),
        "verbose": {"text": verbose.text, "segments": len(verbose.segments)}, "refused": refused,
    }


async def agent(query, file, command, *args):
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    async with stdio_client(StdioServerParameters(command=command, args=list(args))) as (read, write):
        async with ClientSession(read, write) as session:
            hello = await session.initialize()
            tools = (await session.list_tools()).tools
            found = await session.call_tool("search", {"query": query, "k": 3, "modality": ["image"]})
            like = await session.call_tool("search", {"path": file, "k": 3})
            wrong = await session.call_tool("search", {})
            text = lambda told: json.loads(told.content[0].text)
            error = lambda told: getattr(told, "is_error", getattr(told, "isError", None))
            server = getattr(hello, "server_info", None) or getattr(hello, "serverInfo", None)
            return {
                "server": server.name, "tools": [tool.name for tool in tools], "hits": text(found)["hits"],
                "pictures": sum(part.type == "image" for part in found.content), "like": text(like)["hits"],
                "wrong": [error(wrong), wrong.content[0].text],
            }


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    told = openai(*rest) if kind == "openai" else asyncio.run(agent(*rest))
    print(json.dumps(told))
