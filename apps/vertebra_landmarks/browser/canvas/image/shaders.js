/** Programs that draw one tile of an image. */

/** Corners of the tile's rectangle, from stored positions to the screen. */
export const VERTEX_SHADER = `#version 300 es
precision highp float;
uniform vec4 rectangle;  // x0, y0, x1, y1 in pixels of the image, from the corner of the first
uniform mat3 toClip;     // from these to clip coordinates
void main() {
    vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1));
    vec3 position = toClip * vec3(mix(rectangle.xy, rectangle.zw, corner), 1.0);
    gl_Position = vec4(position.xy, 0.0, 1.0);
}`;

/**
 * Gray value of a pixel of the screen: the mean over the area it covers, through equalization, window and inversion.
 *
 * The area is a square of `area` pixels of the level, from 1 (then the mean is bilinear interpolation) to 2.
 */
export const FRAGMENT_SHADER = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
precision highp sampler3D;
uniform usampler2D tile;
uniform mat3 toImage;    // from pixels of the canvas to pixels of the image, from the corner of the first
uniform float shrink;    // pixels of the image per pixel of the level
uniform vec2 origin;     // first pixel of the level in the texture
uniform float area;
uniform float unit;      // gray values per unit of the texture
uniform vec2 window;     // gray values that become black and white
uniform bool isInverted;
uniform sampler3D ranks; // share of darker pixels by gray value and region
uniform vec2 rankRange;  // gray values of the first and the last share
uniform vec2 rankScale;  // regions per pixel of the image
uniform bool isEqualized;
out vec4 color;

float mean(vec2 center) {
    vec2 first = center - 0.5 * area;
    ivec2 start = ivec2(floor(first));
    ivec2 last = textureSize(tile, 0) - 1;
    vec2 offset = first - vec2(start);
    // lengths of the area in three columns and rows
    vec3 wx = vec3(1.0 - offset.x, min(area - 1.0 + offset.x, 1.0), max(area - 2.0 + offset.x, 0.0));
    vec3 wy = vec3(1.0 - offset.y, min(area - 1.0 + offset.y, 1.0), max(area - 2.0 + offset.y, 0.0));
    float sum = 0.0;
    for (int row = 0; row < 3; row++) {
        if (wy[row] <= 0.0) continue;
        int y = clamp(start.y + row, 0, last.y);
        float line = wx.x * float(texelFetch(tile, ivec2(clamp(start.x, 0, last.x), y), 0).r)
            + wx.y * float(texelFetch(tile, ivec2(clamp(start.x + 1, 0, last.x), y), 0).r);
        if (wx.z > 0.0) {
            line += wx.z * float(texelFetch(tile, ivec2(clamp(start.x + 2, 0, last.x), y), 0).r);
        }
        sum += wy[row] * line;
    }
    return unit * sum / (area * area);
}

void main() {
    vec2 position = (toImage * vec3(gl_FragCoord.xy, 1.0)).xy;
    float value = mean(position / shrink - origin);
    if (isEqualized) {
        vec3 bins = vec3(textureSize(ranks, 0));
        float share = clamp((value - rankRange.x) / (rankRange.y - rankRange.x), 0.0, 1.0);
        vec3 at = vec3((share * (bins.x - 1.0) + 0.5) / bins.x, position * rankScale / bins.yz);
        value = mix(rankRange.x, rankRange.y, texture(ranks, at).r);
    }
    float gray = clamp((value - window.x) / (window.y - window.x), 0.0, 1.0);
    color = vec4(vec3(isInverted ? 1.0 - gray : gray), 1.0);
}`;
