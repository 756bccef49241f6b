# Sightline in a container: docker build -t sightline . && docker compose up; see docs/container.md.
FROM debian:12-slim

COPY packaging/image.sh /opt/sightline/packaging/image.sh
RUN sh /opt/sightline/packaging/image.sh system

COPY requirements /opt/sightline/requirements
RUN sh /opt/sightline/packaging/image.sh libraries

COPY pyproject.toml LICENSE README.md run_pipeline.py /opt/sightline/
COPY pipeline /opt/sightline/pipeline
COPY trackers /opt/sightline/trackers
COPY sinks /opt/sightline/sinks
COPY sightline /opt/sightline/sightline
COPY configs /opt/sightline/configs
COPY sample_videos /opt/sightline/sample_videos
RUN sh /opt/sightline/packaging/image.sh sightline

# Nothing but /data, /cache and /tmp is ever written to, so the root may be read-only.
ENV PATH=/opt/sightline/.venv/bin:$PATH SIGHTLINE_CACHE=/cache PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /data
USER 10001:10001
VOLUME ["/data", "/cache"]
EXPOSE 8080

# Any address inside is refused without a token, so that `web.token_env` has to name a variable.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["sightline"]
CMD ["--help"]
